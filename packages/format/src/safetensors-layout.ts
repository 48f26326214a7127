import { InvalidArgumentError } from './errors.js';
import { type SafetensorsDtype, safetensorsByteLength, safetensorsDtypes } from './safetensors-dtype.js';
import {
  LENGTH_BYTES,
  MAX_SAFETENSORS_HEADER_BYTES,
  METADATA_KEY,
  SAFETENSORS_DATA_ALIGNMENT,
} from './safetensors-limits.js';

/** A tensor to be written. */
export interface SafetensorsTensorSpec {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
}

/** A header that is ready to be written, and where each tensor goes. */
export interface SerializedSafetensorsHeader {
  /** The length, the JSON and its padding: everything before the data section. */
  readonly bytes: Uint8Array;
  /** The tensors in the order in which their bytes must follow. */
  readonly order: readonly (SafetensorsTensorSpec & { readonly begin: number; readonly end: number })[];
  /** Size of the whole file. */
  readonly fileSize: number;
}

/**
 * Lays out a safetensors file. The data section begins at a multiple of 64 bytes. First come the tensors whose size is
 * a multiple of 64 bytes, so that each of them is aligned to 64 bytes although the format allows no holes; within these
 * and the others the order is from wide dtypes to narrow ones and then by name, so that every tensor is aligned to its
 * elements. The same tensors and metadata always give the same bytes. Throws InvalidArgumentError on names used twice or reserved,
 * and on shapes that no tensor can have.
 */
export function serializeSafetensorsHeader(
  tensors: readonly SafetensorsTensorSpec[],
  metadata: Readonly<Record<string, string>> = {},
): SerializedSafetensorsHeader {
  const members: string[] = [];
  if (Object.keys(metadata).length > 0) members.push(`"${METADATA_KEY}":${JSON.stringify(metadata)}`);
  const names = new Set<string>();
  let position = 0;
  const sized = tensors.map(({ name, dtype, shape }) => {
    if (name === METADATA_KEY)
      throw new InvalidArgumentError('the name is reserved', { tensor: name, mend: 'Choose another name.' });
    if (names.has(name))
      throw new InvalidArgumentError('two tensors have this name', {
        tensor: name,
        mend: 'Write each tensor once.',
      });
    names.add(name);
    const byteLength = safetensorsByteLength(dtype, shape);
    if (byteLength === undefined) {
      throw new InvalidArgumentError(
        `shape [${shape.join(', ')}] of ${dtype} does not fill whole bytes below 2^53`,
        { tensor: name },
      );
    }
    return { name, dtype, shape, byteLength };
  });
  const order = sized.sort(compareInFileOrder).map(({ name, dtype, shape, byteLength }) => {
    const begin = position;
    position += byteLength;
    members.push(
      `${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [begin, position] })}`,
    );
    return { name, dtype, shape, begin, end: position };
  });
  const json = new TextEncoder().encode(`{${members.join(',')}}`);
  const dataStart =
    Math.ceil((LENGTH_BYTES + json.length) / SAFETENSORS_DATA_ALIGNMENT) * SAFETENSORS_DATA_ALIGNMENT;
  if (dataStart - LENGTH_BYTES > MAX_SAFETENSORS_HEADER_BYTES) {
    throw new InvalidArgumentError(
      `a header of ${json.length} bytes is above the format's limit of ${MAX_SAFETENSORS_HEADER_BYTES}`,
      {
        mend: 'Write several files.',
      },
    );
  }
  const bytes = new Uint8Array(dataStart).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(dataStart - LENGTH_BYTES), true);
  bytes.set(json, LENGTH_BYTES);
  return { bytes, order, fileSize: dataStart + position };
}

interface SizedTensor extends SafetensorsTensorSpec {
  readonly byteLength: number;
}

function compareInFileOrder(a: SizedTensor, b: SizedTensor): number {
  const isOdd = ({ byteLength }: SizedTensor) =>
    Number(byteLength === 0 || byteLength % SAFETENSORS_DATA_ALIGNMENT > 0);
  const byDtype = safetensorsDtypes.indexOf(b.dtype) - safetensorsDtypes.indexOf(a.dtype);
  return isOdd(a) - isOdd(b) || byDtype || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
}
