import { MalformedFileError } from '@lbs/format';
import { rowBytes, type TensorStore, tensorOf } from '../model/tensor-store.js';
import {
  type CancelOptions,
  type RandomAccessSource,
  readExactly,
  readInPieces,
} from '../sources/random-access-source.js';
import { MoreBytesNeeded } from './gguf-byte-reader.js';
import { dequantizerOf } from './gguf-dequantize.js';
import { type GgufHeader, type GgufTensor, parseGgufHeader } from './gguf-header.js';
import { MAX_HEADER_BYTES } from './gguf-limits.js';
import type { GgufValue } from './gguf-metadata.js';

/** A GGUF file. Shapes have the slowest dimension first, as everywhere else: a weight is [out, in]. */
export interface GgufReader extends TensorStore {
  readonly version: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
}

/** Holds the whole header of most files, tokenizer included. */
const FIRST_READ_BYTES = 2 ** 22;

/**
 * Reads and checks the header of a GGUF file, version 2 or 3; tensors are read when they are asked for. The source
 * stays the caller's. Throws MalformedFileError, UnsupportedError and FileAccessError.
 */
export async function openGguf(
  source: RandomAccessSource,
  { signal }: CancelOptions = {},
): Promise<GgufReader> {
  const header = await readHeader(source, signal);
  const read = ({ begin, byteLength }: GgufTensor, options: CancelOptions | undefined) =>
    readExactly(source, begin, byteLength, options);
  return {
    version: header.version,
    metadata: header.metadata,
    tensors: new Map(
      Array.from(header.tensors, ([name, { type, shape, byteLength }]) => [
        name,
        { dtype: type.name, shape, byteLength },
      ]),
    ),
    readBytes: async (name, options) => read(tensorOf(header.tensors, name, source.name), options),
    readPieces(name, options) {
      const { begin, byteLength } = tensorOf(header.tensors, name, source.name);
      return readInPieces(source, begin, begin + byteLength, options);
    },
    async readFloat32(name, options) {
      const tensor = tensorOf(header.tensors, name, source.name);
      const place = { file: source.name, tensor: name };
      const dequantizer = dequantizerOf(tensor.type, place);
      const { offset, length } = rowBytes(tensor, options?.rows, place);
      return dequantizer.dequantize(await readExactly(source, tensor.begin + offset, length, options));
    },
  };
}

/** The header does not say how long it is, so that it is parsed anew with twice the bytes until it fits. */
async function readHeader(source: RandomAccessSource, signal: AbortSignal | undefined): Promise<GgufHeader> {
  let bytes = new Uint8Array();
  for (let length = FIRST_READ_BYTES; ; length *= 2) {
    const end = Math.min(length, source.size);
    const more = await readExactly(source, bytes.length, end - bytes.length, { signal });
    const grown = new Uint8Array(end);
    grown.set(bytes);
    grown.set(more, bytes.length);
    bytes = grown;
    try {
      return parseGgufHeader(bytes, source.name, source.size);
    } catch (error) {
      if (!(error instanceof MoreBytesNeeded)) throw error;
    }
    if (length >= MAX_HEADER_BYTES) {
      throw new MalformedFileError(`the header is longer than the limit of ${MAX_HEADER_BYTES} bytes`, {
        file: source.name,
        mend: 'Check what wrote the file.',
      });
    }
  }
}
