/**
 * A matrix product as the kernel sees it:
 *
 *     output [rows, columns] (=, +=, -=) left [rows, depth] diag(weights [depth]) right [depth, columns]
 *
 * `src/matrix-product.ts` writes it; every field is 32 bits, in this order. Strides count floats. One of the two strides of an
 * operand is 1, so an operand may be transposed.
 */
@unmanaged
export class ProductHeader {
  left: usize;
  leftRowStride: u32;
  leftDepthStride: u32;
  right: usize;
  rightDepthStride: u32;
  rightColumnStride: u32;
  output: usize;
  outputStride: u32;
  columns: u32;
  depth: u32;
  /** 0: all weights are 1. */
  weights: usize;
  /** One of `Update`. */
  update: u32;
  /** 1: only what is on or above the diagonal is computed, and what is below it is undefined. */
  isUpperTriangle: u32;
}

/** What a product does with its output. */
export namespace Update {
  export const set: u32 = 0;
  export const add: u32 = 1;
  export const subtract: u32 = 2;
}
