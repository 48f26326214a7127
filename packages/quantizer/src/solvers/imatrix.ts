import { encodeMatrix } from './encode-matrix.js';
import type { Solver, SolverInput } from './solver.js';

/** Weights of a row whose mean square tells large ones from small ones. */
const superBlock = 256;

/**
 * Round-to-nearest with the importance matrix of llama.cpp (ggml-quants.c, `quant_weights`): the squared error of a weight x counts by
 *
 *     mean square of its input * sqrt(sigma^2 + x^2),
 *
 * sigma^2 the mean of x^2 in its super-block of 256 weights, so that large weights count more than small ones. (llama.cpp takes this mean for the k-quants,
 * for some of them twice, and the mean of the row for its plain formats.) Scales are searched as for all formats.
 */
export const imatrix: Solver = {
  name: 'imatrix',
  needsStatistics: true,
  solve(input) {
    return encodeMatrix(input, { importance: weightImportance(input, input.statistics!.importance) });
  },
};

/** [rows, columns] how much the squared error of each weight counts, up to a factor; `inputSquares` [columns] are the mean squares of the inputs. */
export function weightImportance(
  { weights, rows, columns }: Pick<SolverInput, 'weights' | 'rows' | 'columns'>,
  inputSquares: Float32Array,
): Float32Array {
  const importance = new Float32Array(rows * columns);
  // In units of the largest weight and input, nothing overflows.
  const largest = weights.reduce((most, weight) => Math.max(most, Math.abs(weight)), 0) || 1;
  const largestSquare = inputSquares.reduce((a, b) => Math.max(a, b), 0) || 1;
  for (let row = 0; row < rows; row++) {
    for (let from = 0; from < columns; from += superBlock) {
      const to = Math.min(from + superBlock, columns);
      const start = row * columns;
      let sum = 0;
      for (let j = from; j < to; j++) sum += (weights[start + j]! / largest) ** 2;
      const variance = sum / (to - from);
      for (let j = from; j < to; j++) {
        const size = Math.sqrt(variance + (weights[start + j]! / largest) ** 2);
        importance[start + j] = (inputSquares[j]! / largestSquare) * size;
      }
    }
  }
  return importance;
}
