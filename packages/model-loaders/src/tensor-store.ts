import { InvalidArgumentError } from '@lbs/format';
import type { CancelOptions } from './random-access-source.js';

/** What is known about a tensor without reading it. */
export interface TensorInfo {
  /** The element type or block type as the file names it: `F32`, `BF16`, `Q4_1`. */
  readonly dtype: string;
  /** Slowest dimension first: a weight is [out, in]. */
  readonly shape: readonly number[];
  readonly byteLength: number;
}

/** Named tensors that are read one at a time. */
export interface TensorStore<Info extends TensorInfo = TensorInfo> {
  /** In the order of the data. */
  readonly tensors: ReadonlyMap<string, Info>;
  /** The bytes as they are stored, row-major, little-endian. */
  readBytes(name: string, options?: CancelOptions): Promise<Uint8Array<ArrayBuffer>>;
  /** The same bytes in order, in pieces that are small where the store can read a part of a tensor. */
  readPieces(name: string, options?: CancelOptions): AsyncIterable<Uint8Array<ArrayBuffer>>;
  /** The values, row-major. Throws UnsupportedError where the dtype has no values that float32 can hold. */
  readFloat32(name: string, options?: CancelOptions): Promise<Float32Array<ArrayBuffer>>;
}

/** The entry of a tensor. Throws InvalidArgumentError that names the nearest things the caller could have meant. */
export function tensorOf<Info>(tensors: ReadonlyMap<string, Info>, tensor: string, file: string): Info {
  const info = tensors.get(tensor);
  if (info !== undefined) return info;
  const some = [...tensors.keys()].slice(0, 3).join(', ');
  throw new InvalidArgumentError(`there is no such tensor among ${tensors.size}`, {
    file,
    tensor,
    mend: some ? `The first are: ${some}.` : 'The file has no tensors.',
  });
}

/** Number of elements. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}
