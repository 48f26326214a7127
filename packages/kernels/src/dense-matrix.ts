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
  assertLength(weights, rows, columns);
  const pointer = arena.allocate(weights.byteLength);
  const write = (values: Float32Array) => arena.float32(pointer, values.length).set(values);
  write(weights);
  return [
    { rows, columns, bytes: weights.byteLength },
    {
      dense: pointer,
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
      overwrite(values) {
        assertLength(values, rows, columns);
        write(values);
      },
    },
  ];
}

function assertLength(weights: Float32Array, rows: number, columns: number): void {
  if (weights.length === rows * columns) return;
  throw new InvalidArgumentError(
    `a ${rows} x ${columns} matrix has ${rows * columns} weights, not ${weights.length}`,
  );
}
