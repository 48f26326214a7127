import type { Pointer } from './arena.js';
import { type MatrixPlace, placeIn, transposed } from './matrix-product.js';
import { NotPositiveDefiniteError } from './not-positive-definite-error.js';
import { columnBlocks, type ProductRunner } from './product-runner.js';

/** Rows and columns of a diagonal block, which is factored in float64. */
const blockSize = 64;

/**
 * Replaces H [size, size] by the upper triangular U with H^-1 = U^T U; reads the upper triangle only.
 *
 * Frantar et al., GPTQ (2023), section 4, gets U from a factorization, an inverse and a second factorization. The factorization
 * H = M M^T with an upper triangular M, from the last column to the first, needs no second one: H^-1 = M^-T M^-1, so U = M^-1.
 */
export function inverseCholesky(runner: ProductRunner, matrix: Pointer, size: number): void {
  const starts = Array.from({ length: Math.ceil(size / blockSize) }, (_, i) => i * blockSize);
  clearBelowBlocks(runner, matrix, size);
  for (const start of starts.toReversed()) factorColumns(runner, matrix, size, start);
  for (const start of starts.toReversed()) invertRows(runner, matrix, size, start);
}

/**
 * Columns `start` to `start + blockSize` of M, where those behind them are known. In place of its diagonal blocks M_JJ the matrix gets their
 * inverses, which is all that is needed of them.
 */
function factorColumns(runner: ProductRunner, matrix: Pointer, size: number, start: number): void {
  const at = placeIn(matrix, size);
  const end = Math.min(start + blockSize, size);
  const width = end - start;
  // H[0 to end, J] -= M[0 to end, behind J] M[J, behind J]^T
  runner.run([
    {
      ...{ rows: end, columns: width, depth: size - end, update: 'subtract' },
      ...{ left: at(0, end), right: transposed(at(start, end)), output: at(0, start) },
    },
  ]);
  const failed = invertDiagonalBlock(runner, at(start, start), width);
  if (failed < width) throw notPositiveDefinite(start + failed, size);
  // M[0 to start, J] = H[0 to start, J] M_JJ^-T
  runner.run([
    {
      ...{ rows: start, columns: width, depth: width },
      ...{ left: at(0, start), right: transposed(at(start, start)), output: at(0, start) },
    },
  ]);
}

/** Rows `start` to `start + blockSize` of U = M^-1, where those below them are known: U_IJ = -M_II^-1 sum over K > I of M_IK U_KJ. */
function invertRows(runner: ProductRunner, matrix: Pointer, size: number, start: number): void {
  const at = placeIn(matrix, size);
  const end = Math.min(start + blockSize, size);
  const rows = end - start;
  const columns = size - end;
  runner.withScratch(() => {
    const pointer = runner.arena.allocate(4 * rows * columns);
    runner.arena.float32(pointer, rows * columns).fill(0);
    const sums = placeIn(pointer, columns);
    // U is upper triangular, so its columns up to `last` end with row `last`.
    runner.run(
      columnBlocks(end, size, (first, last) => ({
        ...{ rows, columns: last - first, depth: last - end, update: 'subtract' },
        ...{ left: at(start, end), right: at(end, first), output: sums(0, first - end) },
      })),
    );
    runner.run(
      columnBlocks(end, size, (first, last) => ({
        ...{ rows, columns: last - first, depth: rows },
        ...{ left: at(start, start), right: sums(0, first - end), output: at(start, first) },
      })),
    );
  });
}

/** U is zero there, and the products over whole blocks count on it. */
function clearBelowBlocks({ arena }: ProductRunner, matrix: Pointer, size: number): void {
  for (let row = blockSize; row < size; row++) {
    arena.float32(matrix + 4 * row * size, row - (row % blockSize)).fill(0);
  }
}

function invertDiagonalBlock(runner: ProductRunner, { pointer, stride }: MatrixPlace, size: number): number {
  return runner.withScratch(() => {
    const scratch = runner.arena.allocate(8 * size ** 2);
    return runner.wasm.invertFactor(pointer, stride, size, scratch);
  });
}

function notPositiveDefinite(pivot: number, size: number): NotPositiveDefiniteError {
  return new NotPositiveDefiniteError(
    `the ${size} x ${size} matrix is not positive definite: pivot ${pivot} is not positive and finite`,
    pivot,
    { mend: 'Add more to its diagonal (a greater damping), and look for NaN in what it was summed from.' },
  );
}
