import type { Pointer } from './arena.js';
import type { Matrix, MatrixOperations } from './matrix.js';
import type { ProductRunner } from './product-runner.js';

/** output [tokens, columns] (=, +=) input [tokens, rows] times a matrix [rows, columns]. */
export interface TransposedProduct {
  readonly input: Pointer;
  readonly output: Pointer;
  readonly tokens: number;
  /** What becomes of the output. Default set. */
  readonly update?: 'set' | 'add';
}

/** Rows that are dequantized at a time: as many as a product sums before it meets the output, so that sums do not depend on it. */
const rowBlock = 256;

/** Multiplies by a matrix as it is, where `Kernels.multiply` takes it transposed. */
export function multiplyTransposed(
  runner: ProductRunner,
  { rows, columns }: Matrix,
  { dense, copyRow }: MatrixOperations,
  { input, output, tokens, update = 'set' }: TransposedProduct,
): void {
  const multiply = (weights: Pointer, first: number, depth: number) =>
    runner.run([
      {
        ...{ rows: tokens, columns, depth, update: first === 0 ? update : 'add' },
        left: { pointer: input + 4 * first, stride: rows },
        right: { pointer: weights, stride: columns },
        output: { pointer: output, stride: columns },
      },
    ]);
  if (dense !== undefined) {
    multiply(dense, 0, rows);
    return;
  }
  runner.withScratch(() => {
    const weights = runner.arena.allocate(4 * Math.min(rowBlock, rows) * columns);
    for (let first = 0; first < rows; first += rowBlock) {
      const depth = Math.min(rowBlock, rows - first);
      for (let row = 0; row < depth; row++) copyRow(first + row, weights + 4 * row * columns);
      multiply(weights, first, depth);
    }
  });
}
