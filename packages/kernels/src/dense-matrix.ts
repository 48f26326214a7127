import { InvalidArgumentError } from '@lbs/format';
import type { Arena } from './arena.js';
import type { Matrix, MatrixOperations } from './matrix.js';
import type { ThreadPool } from './thread-pool.js';

/** Rows that a call takes at a time; the kernel keeps that many in the second-level cache. */
const rowBlock = 16;

/** Copies float32 weights [rows, columns] into the memory. */
export function loadDenseMatrix(
  arena: Arena,
  pool: ThreadPool,
  weights: Float32Array,
  rows: number,
  columns: number,
): [Matrix, MatrixOperations] {
  if (weights.length !== rows * columns) {
    throw new InvalidArgumentError(
      `a ${rows} x ${columns} matrix has ${rows * columns} weights, not ${weights.length}`,
    );
  }
  const pointer = arena.allocate(weights.byteLength);
  arena.float32(pointer, weights.length).set(weights);
  return [
    { rows, columns, bytes: weights.byteLength },
    {
      multiply: (input, output, tokens) =>
        pool.split('multiplyDense', { count: rows, step: rowBlock, work: columns * tokens }, (first, end) => [
          pointer,
          rows,
          columns,
          input,
          output,
          tokens,
          first,
          end,
        ]),
      copyRow: (row, output) =>
        arena.float32(output, columns).set(arena.float32(pointer + 4 * row * columns, columns)),
    },
  ];
}
