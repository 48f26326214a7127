import { CodeSearch } from '@lbs/kernels';
import { groupRanges, reachingScales } from '../scales/group-ranges.js';
import { chooseScaleBases, type MatrixScales } from '../scales/matrix-scales.js';
import { minMaxScales } from '../scales/min-max-scales.js';
import { decodeCodes } from './decode-codes.js';
import { encodeMatrix, type ScaledMatrix } from './encode-matrix.js';
import type { Solver, SolverInput } from './solver.js';

/**
 * Round-to-nearest with the scale, and the zero-point, that just reach the least and the greatest weight of a group: what papers compare with as
 * RTN. `rtn` searches for better scales.
 */
export const minMax: Solver = {
  name: 'min-max',
  needsStatistics: false,
  solve(input) {
    const importance = input.statistics?.importance ?? new Float32Array(input.columns).fill(1);
    return encodeMatrix(input, { importance, fitScales: rangeScales });
  },
};

/** [rows, columns] the weights that `min-max` gives, without packing them. `importance` [columns] matters where bits are shared. */
export function roundAtRange(
  input: Omit<SolverInput, 'salient' | 'statistics'>,
  importance: Float32Array,
): Float32Array {
  const { kernels, ...matrix } = input;
  const scales = rangeScales(matrix);
  const search = new CodeSearch(kernels, { ...matrix, importance });
  try {
    const codes = search.choose({
      scales: scales.values,
      ...(matrix.format.zeroPoint && { zeroPoints: scales.zeroPoints }),
    });
    return decodeCodes(matrix, scales, codes);
  } finally {
    search.release();
  }
}

function rangeScales(matrix: ScaledMatrix): MatrixScales {
  const { format } = matrix;
  const ranges = groupRanges(format, matrix);
  return minMaxScales(format, ranges, chooseScaleBases(format, reachingScales(format, ranges), matrix));
}
