import {
  parseSafetensorsHeader,
  type SafetensorsDtype,
  type SafetensorsTensor,
  safetensorsDataStart,
} from '@lbs/format';
import { rowBytes, type TensorInfo, type TensorStore, tensorOf } from '../model/tensor-store.js';
import {
  type CancelOptions,
  type RandomAccessSource,
  readExactly,
  readInPieces,
} from '../sources/random-access-source.js';
import { float32FromSafetensors } from './float32-from-safetensors.js';

/** A tensor of a safetensors file. */
export interface SafetensorsInfo extends TensorInfo {
  readonly dtype: SafetensorsDtype;
}

/** One safetensors file, or the shards of one model seen as one. */
export interface SafetensorsReader extends TensorStore<SafetensorsInfo> {
  readonly metadata: ReadonlyMap<string, string>;
}

/**
 * Reads and checks the header of a safetensors file; tensors are read when they are asked for. The source stays
 * the caller's. Throws MalformedFileError, UnsupportedError (a dtype of the future) and FileAccessError.
 */
export async function openSafetensors(
  source: RandomAccessSource,
  { signal }: CancelOptions = {},
): Promise<SafetensorsReader> {
  const file = { file: source.name, fileSize: source.size };
  const firstBytes = await readExactly(source, 0, Math.min(8, source.size), { signal });
  const dataStart = safetensorsDataStart(firstBytes, file);
  const header = parseSafetensorsHeader(await readExactly(source, 0, dataStart, { signal }), file);

  async function readTensor({ begin, end }: SafetensorsTensor, options: CancelOptions | undefined) {
    return readExactly(source, dataStart + begin, end - begin, options);
  }

  return {
    tensors: new Map(
      Array.from(header.tensors, ([name, { dtype, shape, begin, end }]) => [
        name,
        { dtype, shape, byteLength: end - begin },
      ]),
    ),
    metadata: header.metadata,
    readBytes: async (name, options) => readTensor(tensorOf(header.tensors, name, source.name), options),
    readPieces(name, options) {
      const { begin, end } = tensorOf(header.tensors, name, source.name);
      return readInPieces(source, dataStart + begin, dataStart + end, options);
    },
    async readFloat32(name, options) {
      const tensor = tensorOf(header.tensors, name, source.name);
      const place = { file: source.name, tensor: name };
      const byteLength = tensor.end - tensor.begin;
      const { offset, length } = rowBytes({ ...tensor, byteLength }, options?.rows, place);
      // A row of half bytes may begin and end inside of one.
      const begin = Math.floor(offset);
      const size = Math.ceil(offset + length) - begin;
      const bytes = await readExactly(source, dataStart + tensor.begin + begin, size, options);
      const values = float32FromSafetensors(tensor.dtype, bytes, place);
      if (size === length) return values;
      const valuesPerByte = values.length / size;
      return values.slice((offset - begin) * valuesPerByte, (offset - begin + length) * valuesPerByte);
    },
  };
}
