import { InvalidArgumentError } from '@lbs/format';
import type { CancelOptions } from '../sources/random-access-source.js';

/** What is known about a tensor without reading it. */
export interface TensorInfo {
  /** The element type or block type as the file names it: `F32`, `BF16`, `Q4_1`. */
  readonly dtype: string;
  /** Slowest dimension first: a weight is [out, in]. */
  readonly shape: readonly number[];
  readonly byteLength: number;
}

/** What of a tensor's values is read. */
export interface ReadValuesOptions extends CancelOptions {
  /** Rows, along the slowest dimension; default all of them. */
  readonly rows?: RowRange | undefined;
}

/** Consecutive rows of a tensor. */
export interface RowRange {
  readonly first: number;
  readonly count: number;
}

/** Named tensors that are read one at a time. */
export interface TensorStore<Info extends TensorInfo = TensorInfo> {
  /** In the order of the data. */
  readonly tensors: ReadonlyMap<string, Info>;
  /** The bytes as they are stored, row-major, little-endian. */
  readBytes(name: string, options?: CancelOptions): Promise<Uint8Array<ArrayBuffer>>;
  /** The same bytes in order, in pieces that are small where the store can read a part of a tensor. */
  readPieces(name: string, options?: CancelOptions): AsyncIterable<Uint8Array<ArrayBuffer>>;
  /**
   * The values, row-major. Throws UnsupportedError where the dtype has no values that float32 can hold, InvalidArgumentError for rows that do not
   * exist.
   */
  readFloat32(name: string, options?: ReadValuesOptions): Promise<Float32Array<ArrayBuffer>>;
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

/** Where the bytes of rows are among those of their tensor. Throws InvalidArgumentError for rows that do not exist. */
export function rowBytes(
  { shape, byteLength }: Pick<TensorInfo, 'shape' | 'byteLength'>,
  rows: RowRange | undefined,
  place: { readonly file: string; readonly tensor: string },
): { readonly offset: number; readonly length: number } {
  if (!rows) return { offset: 0, length: byteLength };
  const { first, count } = rows;
  const total = shape[0] ?? 1;
  const areWhole = Number.isInteger(first) && Number.isInteger(count);
  if (!(areWhole && first >= 0 && count >= 0 && first + count <= total)) {
    throw new InvalidArgumentError(
      `${count} rows from row ${first} on are not among the ${total} rows`,
      place,
    );
  }
  const bytes = byteLength / Math.max(total, 1);
  return { offset: first * bytes, length: count * bytes };
}

/** Number of elements. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}
