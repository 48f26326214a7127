import { bfloat16FromFloat32, float16FromFloat32 } from '@lbs/format';
import type { DequantizedDtype } from './checkpoint-method.js';
import { roundTo } from './round-to.js';

/** Rows of codes with a scale and a zero-point for every group of columns. */
export interface AffineRows {
  readonly rows: number;
  readonly columns: number;
  /** Row-major [rows, columns]. */
  readonly codes: Float32Array;
  readonly groups: number;
  /** The group of every column, below `groups`. */
  readonly groupOf: ArrayLike<number>;
  /** Row-major [rows, groups]. */
  readonly scales: Float32Array;
  /** As the scales; left out where every one is 0. */
  readonly zeros?: Float32Array | undefined;
}

/**
 * (code - zero) * scale, rounded to `dtype` as the reference codes do, which compute in the type of the scales: codes and
 * zero-points are exact in it, so that the product is the only rounding.
 */
export function dequantizeAffine(
  { rows, columns, codes, groups, groupOf, scales, zeros }: AffineRows,
  dtype: DequantizedDtype,
): Float32Array<ArrayBuffer> {
  const values = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const group = row * groups + groupOf[column]!;
      const zero = zeros ? zeros[group]! : 0;
      values[row * columns + column] = (codes[row * columns + column]! - zero) * scales[group]!;
    }
  }
  return roundTo(dtype, values);
}

/** Values that a type has as the bytes that store them. */
export function bytesOf(dtype: DequantizedDtype, values: Float32Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (dtype === 'F32') return new Uint8Array(values.buffer);
  const halves = new Uint16Array(values.length);
  if (dtype === 'F16') float16FromFloat32(values, halves);
  else bfloat16FromFloat32(values, halves);
  return new Uint8Array(halves.buffer);
}

/** Bytes of one value. */
export const dequantizedBytes: Readonly<Record<DequantizedDtype, number>> = { F16: 2, BF16: 2, F32: 4 };
