import { encodeMatrix } from './encode-matrix.js';
import type { Solver } from './solver.js';

/**
 * GPTQ (arXiv 2210.17323) in the Cholesky form, with scales from the original weights (static groups) and columns by descending
 * activation. Where bits are shared it is sharing-aware: every block tries each row of the level table with the feedback through its columns.
 */
export const gptq: Solver = {
  name: 'gptq',
  needsStatistics: true,
  solve(input) {
    const { importance } = input.statistics!;
    return encodeMatrix(input, { importance, feedback: input.statistics!.feedback(input.format) });
  },
};
