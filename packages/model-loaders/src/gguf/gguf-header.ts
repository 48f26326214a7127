import { UnsupportedError } from '@lbs/format';
import { GgufByteReader } from './gguf-byte-reader.js';
import { MAX_DIMENSIONS, MAX_METADATA_ENTRIES, MAX_TENSOR_NAME_BYTES, MAX_TENSORS } from './gguf-limits.js';
import { type GgufValue, readMetadata } from './gguf-metadata.js';
import { type GgufType, ggufTypeOf } from './gguf-types.js';

/** A tensor of a GGUF file. */
export interface GgufTensor {
  readonly type: GgufType;
  /** Slowest dimension first, the reverse of the order in the file. */
  readonly shape: readonly number[];
  /** Offset in the file. */
  readonly begin: number;
  readonly byteLength: number;
}

/** A checked header. */
export interface GgufHeader {
  readonly version: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** In the order of the data. */
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

export const MAGIC = 0x46554747; // "GGUF"
export const DEFAULT_ALIGNMENT = 32;

/** Name length, one character, dimension count, one dimension, type, offset. */
const LEAST_TENSOR_BYTES = 33;

/**
 * Parses and checks the header in the first bytes of a file. The data ranges that come back lie inside the file,
 * one behind the other. Throws MalformedFileError; UnsupportedError for big-endian files, version 1 and types
 * that ggml does not have; MoreBytesNeeded when the header is longer than `bytes` but not than the file.
 */
export function parseGgufHeader(bytes: Uint8Array, file: string, fileSize: number): GgufHeader {
  const reader = new GgufByteReader(bytes, file, fileSize);
  const magic = reader.uint32();
  if (magic !== MAGIC) {
    throw reader.malformed(`the file begins with 0x${magic.toString(16).padStart(8, '0')}, not with "GGUF"`);
  }
  const version = readVersion(reader, file);
  const tensorCount = reader.count('the number of tensors', MAX_TENSORS);
  const entryCount = reader.count('the number of metadata entries', MAX_METADATA_ENTRIES);
  const metadata = readMetadata(reader, entryCount);
  const alignment = readAlignment(reader, metadata);
  reader.assertRemaining(`a list of ${tensorCount} tensors`, tensorCount * LEAST_TENSOR_BYTES);
  const tensors = new Map<string, GgufTensor>();
  let offset = 0;
  for (let i = 0; i < tensorCount; i++) {
    const name = reader.string('a tensor name', MAX_TENSOR_NAME_BYTES);
    if (tensors.has(name)) throw reader.malformed(`the file has two tensors named "${name}"`);
    const tensor = readTensor(reader, name, file);
    // ggml writes the data in the order of the list and refuses anything else; so holes and overlaps cannot occur.
    if (tensor.begin !== offset) {
      throw reader.malformed(`tensor "${name}" begins at ${tensor.begin} of the data, not at ${offset}`);
    }
    tensors.set(name, tensor);
    offset = roundUp(offset + tensor.byteLength, alignment);
  }
  const dataStart = roundUp(reader.position, alignment);
  for (const [name, tensor] of tensors) {
    const begin = dataStart + tensor.begin;
    if (begin + tensor.byteLength > fileSize) {
      throw reader.malformed(
        `tensor "${name}" ends at ${begin + tensor.byteLength}, but the file has ${fileSize} bytes`,
      );
    }
    tensors.set(name, { ...tensor, begin });
  }
  return { version, metadata, tensors };
}

function readVersion(reader: GgufByteReader, file: string): number {
  const version = reader.uint32();
  if (version === 2 || version === 3) return version;
  // Big-endian files have no mark; their version number looks huge.
  const bigEndian = version > 0xffff && (version & 0xffff) === 0;
  if (!bigEndian && (version === 0 || version > 0xffff)) throw reader.malformed(`the version is ${version}`);
  if (bigEndian) {
    throw new UnsupportedError('this is a big-endian GGUF file', {
      file,
      mend: 'Convert it with `gguf-convert-endian FILE little` of the Python package gguf.',
    });
  }
  throw new UnsupportedError(`this is version ${version} of GGUF`, {
    file,
    mend: 'Versions 2 and 3 are known. Convert the model again.',
  });
}

function readAlignment(reader: GgufByteReader, metadata: ReadonlyMap<string, GgufValue>): number {
  const alignment = metadata.get('general.alignment') ?? DEFAULT_ALIGNMENT;
  // A power of two, as ggml requires; the upper bound keeps the sums below exact.
  const valid =
    typeof alignment === 'number' &&
    alignment >= 1 &&
    alignment <= 2 ** 20 &&
    Number.isInteger(Math.log2(alignment));
  if (!valid) throw reader.malformed(`general.alignment is ${alignment}, not a power of two up to 2^20`);
  return alignment;
}

function readTensor(reader: GgufByteReader, name: string, file: string): GgufTensor {
  const dimensions = reader.uint32();
  if (dimensions > MAX_DIMENSIONS) {
    throw reader.malformed(
      `tensor "${name}" has ${dimensions} dimensions, above the limit of ${MAX_DIMENSIONS}`,
    );
  }
  const fastestFirst = Array.from({ length: dimensions }, () => reader.uint64());
  const id = reader.uint32();
  const begin = reader.uint64();
  const type = ggufTypeOf(id);
  if (!type) {
    throw new UnsupportedError(`its type ${id} is not known`, {
      file,
      tensor: name,
      mend: 'Use a newer version, or a file with F16 or Q8_0 weights.',
    });
  }
  const elements = fastestFirst.reduce<number>((product, size) => product * Number(size), 1);
  const row = Number(fastestFirst[0] ?? 1);
  const bytes = (elements / type.blockSize) * type.bytesPerBlock;
  // Of a tensor without elements each dimension could still be one that no number holds.
  const exact = [...fastestFirst, elements, bytes].every(Number.isSafeInteger);
  if (!exact || row % type.blockSize !== 0) {
    throw reader.malformed(
      `tensor "${name}" has the dimensions [${fastestFirst.join(', ')}], which are no whole blocks of ${type.blockSize} below 2^53`,
    );
  }
  return { type, shape: fastestFirst.map(Number).reverse(), begin: Number(begin), byteLength: bytes };
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}
