import { encodeMatrix } from './encode-matrix.js';
import type { Solver } from './solver.js';

/**
 * Round-to-nearest with scale search and the joint choice of shared bits: the least squared error of the weights, or where the inputs were
 * measured that of the outputs as far as the diagonal of the Hessian tells it.
 */
export const roundToNearest: Solver = {
  name: 'rtn',
  needsStatistics: false,
  solve(input) {
    const importance = input.statistics?.importance ?? new Float32Array(input.columns).fill(1);
    return encodeMatrix(input, { importance });
  },
};
