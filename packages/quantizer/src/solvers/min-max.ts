import { groupRanges, reachingScales } from '../scales/group-ranges.js';
import { minMaxScales } from '../scales/min-max-scales.js';
import { chooseScaleBases } from '../scales/storable-scales.js';
import { encodeMatrix } from './encode-matrix.js';
import type { Solver } from './solver.js';

/**
 * Round-to-nearest with the scale, and the zero-point, that just reach the least and the greatest weight of a group: what papers compare with as
 * RTN. `rtn` searches for better scales.
 */
export const minMax: Solver = {
  name: 'min-max',
  needsStatistics: false,
  solve(input) {
    const importance = input.statistics?.importance ?? new Float32Array(input.columns).fill(1);
    return encodeMatrix(input, {
      importance,
      fitScales(matrix) {
        const { format } = matrix;
        const ranges = groupRanges(format, matrix);
        const bases = chooseScaleBases(format, reachingScales(format, ranges), matrix);
        return minMaxScales(format, ranges, bases);
      },
    });
  },
};
