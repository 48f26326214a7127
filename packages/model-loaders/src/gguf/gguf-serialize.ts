import { InvalidArgumentError } from '@lbs/format';
import { elementCount } from '../model/tensor-store.js';
import { GgufByteWriter } from './gguf-byte-writer.js';
import { DEFAULT_ALIGNMENT, MAGIC } from './gguf-header.js';
import { MAX_DIMENSIONS, MAX_TENSOR_NAME_BYTES } from './gguf-limits.js';
import type { GgufTypedMetadata } from './gguf-typed-value.js';
import { type GgufType, ggufTypeNamed } from './gguf-types.js';

/** A tensor of a file that is written. */
export interface GgufTensorSpec {
  readonly name: string;
  /** Name of the GGUF type, such as `Q8_0`. */
  readonly type: string;
  /** Slowest dimension first. */
  readonly shape: readonly number[];
}

/** The header of a file, and where its data belong. */
export interface SerializedGguf {
  /** Up to where the data of the first tensor begin. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Range of each tensor in the file, in the order of the list. Between two of them the file has zeros. */
  readonly ranges: readonly { readonly begin: number; readonly end: number }[];
  readonly fileSize: number;
}

const VERSION = 3;

/** ids of the value types. */
const valueTypes = {
  uint8: 0,
  int8: 1,
  uint16: 2,
  int16: 3,
  uint32: 4,
  int32: 5,
  float32: 6,
  bool: 7,
  string: 8,
  array: 9,
  uint64: 10,
  int64: 11,
  float64: 12,
} as const;

/**
 * Writes the header of a GGUF file, version 3. `general.alignment` among the metadata says where tensors begin. Throws
 * InvalidArgumentError for what no file can hold: values that their type does not hold, a name twice or too long, rows that
 * are no whole blocks.
 */
export function serializeGgufHeader(
  metadata: GgufTypedMetadata,
  tensors: readonly GgufTensorSpec[],
): SerializedGguf {
  const alignment = alignmentOf(metadata);
  const writer = new GgufByteWriter();
  writer.uint32(MAGIC);
  writer.uint32(VERSION);
  writer.uint64(tensors.length);
  writer.uint64(metadata.size);
  for (const [key, value] of metadata) {
    if (key === '') throw new InvalidArgumentError('a metadata key is empty');
    writer.string(key);
    writer.uint32(valueTypes[value.type]);
    if (value.type !== 'array') writer.scalar(value.type, value.value);
    else {
      writer.uint32(valueTypes[value.of]);
      writer.uint64(value.values.length);
      for (const element of value.values) writer.scalar(value.of, element);
    }
  }
  const offsets: { begin: number; end: number }[] = [];
  const names = new Set<string>();
  let offset = 0;
  for (const { name, type: typeName, shape } of tensors) {
    const type = checkTensor(name, typeName, shape);
    if (names.has(name))
      throw new InvalidArgumentError('there are two tensors of this name', { tensor: name });
    names.add(name);
    writer.string(name);
    writer.uint32(shape.length);
    for (const size of shape.toReversed()) writer.uint64(size);
    writer.uint32(type.id);
    writer.uint64(offset);
    const bytes = (elementCount(shape) / type.blockSize) * type.bytesPerBlock;
    offsets.push({ begin: offset, end: offset + bytes });
    offset = Math.ceil((offset + bytes) / alignment) * alignment;
  }
  writer.pad(alignment);
  const dataStart = writer.length;
  return {
    bytes: writer.finish(),
    ranges: offsets.map(({ begin, end }) => ({ begin: dataStart + begin, end: dataStart + end })),
    // ggml wants the padding behind the last tensor too.
    fileSize: dataStart + offset,
  };
}

function alignmentOf(metadata: GgufTypedMetadata): number {
  const entry = metadata.get('general.alignment');
  if (!entry) return DEFAULT_ALIGNMENT;
  const isPower =
    entry.type === 'uint32' && typeof entry.value === 'number' && Number.isInteger(Math.log2(entry.value));
  if (!isPower) throw new InvalidArgumentError('general.alignment has to be a power of two in a uint32');
  return entry.value as number;
}

function checkTensor(name: string, typeName: string, shape: readonly number[]): GgufType {
  const place = { tensor: name };
  const type = ggufTypeNamed(typeName);
  if (!type) throw new InvalidArgumentError(`${typeName} is no GGUF type`, place);
  // ggml ends the name with a zero, for which there has to be room.
  if (name === '' || new TextEncoder().encode(name).length >= MAX_TENSOR_NAME_BYTES) {
    throw new InvalidArgumentError(`a name has 1 to ${MAX_TENSOR_NAME_BYTES - 1} bytes`, place);
  }
  const isShape =
    shape.length <= MAX_DIMENSIONS &&
    shape.every((size) => Number.isSafeInteger(size) && size >= 0) &&
    Number.isSafeInteger(elementCount(shape)) &&
    (shape.at(-1) ?? 1) % type.blockSize === 0;
  if (isShape) return type;
  throw new InvalidArgumentError(
    `the shape [${shape.join(', ')}] has more than ${MAX_DIMENSIONS} dimensions, or rows that are no whole blocks of ${type.blockSize}`,
    place,
  );
}
