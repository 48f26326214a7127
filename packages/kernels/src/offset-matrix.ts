import { InvalidArgumentError, type QuantizedMatrix } from '@lbs/format';
import type { Pointer } from './arena.js';
import { loadDenseMatrix } from './dense-matrix.js';
import type { Matrix, MatrixOperations } from './matrix.js';
import { type LoadOptions, loadQuantizedMatrix } from './quantized-matrix.js';
import type { ProductKernels } from './quantized-products.js';

/**
 * A quantized matrix with a float32 offset for each group of a row, [rows, groups], that is added to all weights of the group. So its product is
 * that of the quantized matrix, and that of the offsets with the sums of each group's activations. Throws InvalidArgumentError where a part
 * has the wrong size, or the columns are no whole groups.
 */
export function loadOffsetMatrix(
  kernels: ProductKernels,
  quantized: QuantizedMatrix,
  offsets: Float32Array,
  options: LoadOptions,
): [Matrix, MatrixOperations] {
  const { arena, pool, wasm } = kernels;
  const { rows, columns, format } = quantized;
  const { groupSize } = format;
  if (columns % groupSize !== 0) {
    throw new InvalidArgumentError(`${columns} columns are no whole groups of ${groupSize}`);
  }
  const groups = columns / groupSize;
  const [codes, codeOperations] = loadQuantizedMatrix(kernels, quantized, options);
  const [dense, denseOperations] = loadDenseMatrix(arena, pool, offsets, rows, groups);

  const sumGroups = (input: Pointer, tokens: number): Pointer => {
    const sums = arena.allocate(4 * tokens * groups);
    const values = arena.float32(input, tokens * columns);
    const target = arena.float32(sums, tokens * groups);
    for (let group = 0; group < target.length; group++) {
      let sum = 0;
      for (let i = group * groupSize; i < (group + 1) * groupSize; i++) sum += values[i]!;
      target[group] = sum;
    }
    return sums;
  };
  return [
    { rows, columns, bytes: codes.bytes + dense.bytes },
    {
      multiply(input, output, tokens) {
        codeOperations.multiply(input, output, tokens);
        arena.withScratch(() => {
          const sums = sumGroups(input, tokens);
          const product = arena.allocate(4 * tokens * rows);
          denseOperations.multiply(sums, product, tokens);
          wasm.add(output, product, tokens * rows);
        });
      },
      copyRow(row, output) {
        codeOperations.copyRow(row, output);
        const weights = arena.float32(output, columns);
        for (let i = 0; i < columns; i++) weights[i]! += offsets[row * groups + Math.floor(i / groupSize)]!;
      },
    },
  ];
}
