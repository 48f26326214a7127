import { InvalidArgumentError, MalformedFileError, UnsupportedError } from './errors.js';
import {
  isSafetensorsDtype,
  type SafetensorsDtype,
  safetensorsByteLength,
  safetensorsDtypes,
} from './safetensors-dtype.js';
import { describeJson, parseStrictJson } from './safetensors-json.js';
import { LENGTH_BYTES, MAX_SAFETENSORS_HEADER_BYTES, METADATA_KEY } from './safetensors-limits.js';

export {
  isSafetensorsDtype,
  type SafetensorsDtype,
  safetensorsByteLength,
  safetensorsDtypes,
} from './safetensors-dtype.js';
export * from './safetensors-layout.js';
export { MAX_SAFETENSORS_HEADER_BYTES, SAFETENSORS_DATA_ALIGNMENT } from './safetensors-limits.js';

/** Where a tensor lies. `begin` and `end` are bytes behind the start of the data section. */
export interface SafetensorsTensor {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** A checked header. */
export interface SafetensorsHeader {
  /** In the order of the data. */
  readonly tensors: ReadonlyMap<string, SafetensorsTensor>;
  readonly metadata: ReadonlyMap<string, string>;
  /** Offset of the data section in the file. */
  readonly dataStart: number;
}

/** Name and size of the file that a header came from. */
export interface SafetensorsFile {
  readonly file: string;
  readonly fileSize: number;
}

/**
 * Offset of the data section (8 + header length), from the first 8 bytes of a file. Throws MalformedFileError
 * when the file is too small for the header that it announces, or the header is beyond the limit.
 */
export function safetensorsDataStart(firstBytes: Uint8Array, { file, fileSize }: SafetensorsFile): number {
  if (fileSize < LENGTH_BYTES + 2 || firstBytes.length < LENGTH_BYTES) {
    throw new MalformedFileError(`${fileSize} bytes are too few for a safetensors header`, {
      file,
      mend: 'Download the file again; a Git LFS pointer may have taken its place.',
    });
  }
  const view = new DataView(firstBytes.buffer, firstBytes.byteOffset, LENGTH_BYTES);
  const headerBytes = view.getBigUint64(0, true);
  if (headerBytes > BigInt(MAX_SAFETENSORS_HEADER_BYTES)) {
    throw new MalformedFileError(
      `the header length ${headerBytes} is above the limit of ${MAX_SAFETENSORS_HEADER_BYTES}`,
      {
        file,
        mend: 'Check that this is a safetensors file.',
      },
    );
  }
  const dataStart = LENGTH_BYTES + Number(headerBytes);
  if (dataStart > fileSize) {
    throw new MalformedFileError(
      `the header length ${headerBytes} is above what a file of ${fileSize} bytes can hold`,
      {
        file,
        mend: 'Download the file again; it may be incomplete.',
      },
    );
  }
  return dataStart;
}

/**
 * Parses and checks the header of a safetensors file. `bytes` holds at least the bytes before the data section
 * (see safetensorsDataStart). The data ranges that come back lie inside the file, do not overlap, leave no holes,
 * and have the size of their tensor. Throws MalformedFileError, or UnsupportedError for a dtype that is not known.
 */
export function parseSafetensorsHeader(
  bytes: Uint8Array,
  { file, fileSize }: SafetensorsFile,
): SafetensorsHeader {
  const dataStart = safetensorsDataStart(bytes, { file, fileSize });
  if (bytes.length < dataStart) {
    throw new InvalidArgumentError(
      `${bytes.length} bytes were passed of a header that ends at ${dataStart}`,
      { file },
    );
  }
  const json = parseStrictJson(bytes.subarray(LENGTH_BYTES, dataStart), file) as Record<string, unknown>;
  const metadata = new Map<string, string>();
  const entries: [string, SafetensorsTensor][] = [];
  for (const [name, value] of Object.entries(json)) {
    if (name !== METADATA_KEY) {
      entries.push([name, parseTensor(name, value, file)]);
      continue;
    }
    if (!isObject(value)) throw malformed(`${METADATA_KEY} is ${describeJson(value)}, not an object`, file);
    for (const [key, text] of Object.entries(value)) {
      if (typeof text !== 'string')
        throw malformed(`${METADATA_KEY}.${key} is ${describeJson(text)}, not a string`, file);
      metadata.set(key, text);
    }
  }
  entries.sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  checkTiling(entries, fileSize - dataStart, file);
  return { tensors: new Map(entries), metadata, dataStart };
}

function parseTensor(tensor: string, value: unknown, file: string): SafetensorsTensor {
  if (!isObject(value)) throw malformed(`its entry is ${describeJson(value)}, not an object`, file, tensor);
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string')
    throw malformed(`its dtype is ${describeJson(dtype)}, not a string`, file, tensor);
  if (!isSafetensorsDtype(dtype)) {
    throw new UnsupportedError(`dtype ${describeJson(dtype)} is not known`, {
      file,
      tensor,
      mend: `Known: ${safetensorsDtypes.join(', ')}.`,
    });
  }
  if (!isSizeList(shape))
    throw malformed(`its shape is ${describeJson(shape)}, not a list of sizes`, file, tensor);
  if (!isSizeList(offsets) || offsets.length !== 2) {
    throw malformed(`its data_offsets are ${describeJson(offsets)}, not [begin, end]`, file, tensor);
  }
  const byteLength = safetensorsByteLength(dtype, shape);
  if (byteLength === undefined) {
    throw malformed(
      `shape [${shape.join(', ')}] of ${dtype} does not fill whole bytes below 2^53`,
      file,
      tensor,
    );
  }
  const [begin, end] = offsets as [number, number];
  if (end - begin !== byteLength) {
    throw malformed(
      `data_offsets [${begin}, ${end}] hold ${end - begin} bytes, but shape [${shape.join(', ')}] of ${dtype} has ${byteLength}`,
      file,
      tensor,
    );
  }
  return { dtype, shape, begin, end };
}

/** Holes could carry hidden data, overlaps make a small file look huge: the format forbids both. */
function checkTiling(entries: readonly [string, SafetensorsTensor][], dataBytes: number, file: string): void {
  let position = 0;
  for (const [tensor, { begin, end }] of entries) {
    if (begin !== position) {
      const found = begin > position ? 'a hole' : 'an overlap';
      throw malformed(
        `its data begins at ${begin}, not at ${position}: ${found} in the data section`,
        file,
        tensor,
      );
    }
    position = end;
  }
  if (position !== dataBytes) {
    throw new MalformedFileError(
      `the tensors have ${position} bytes, but the file has ${dataBytes} behind its header`,
      {
        file,
        mend:
          position > dataBytes ? 'Download the file again; it is incomplete.' : 'Check what wrote the file.',
      },
    );
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSizeList(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

function malformed(problem: string, file: string, tensor?: string): MalformedFileError {
  return new MalformedFileError(problem, {
    file,
    tensor,
    mend: 'Write the file again with a conforming writer.',
  });
}
