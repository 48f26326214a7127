import { InvalidArgumentError, type NumberFormat, rowLayout } from '@lbs/format';
import { groupRanges } from '../scales/group-ranges.js';
import {
  chooseScaleBases,
  largestZeroPoint,
  type MatrixScales,
  nearestScales,
} from '../scales/matrix-scales.js';
import { encodeMatrix, type ScaledMatrix } from './encode-matrix.js';
import type { Solver } from './solver.js';

/** Defaults of the reference implementation. */
const mostSteps = 20;
const norm = 0.7;
const firstPenalty = 10;
const penaltyGrowth = 1.01;

/**
 * Half-quadratic quantization (HQQ, Badri and Shaji 2023, https://mobiusml.github.io/hqq_blog), which needs no calibration: scales from the least
 * and the greatest weight of a group, and zero-points that minimise the l_p norm of the errors, p = 0.7, by half-quadratic splitting.
 *
 * HQQ's zero-points are real numbers; stored ones are integers in the unit of the levels. Where levels are one apart they are whole steps, and
 * rounding them takes back what the method gains: use a format whose levels are several apart, such as int4-fine-zp-g64. For formats
 * with zero-points and evenly spaced levels from 0, without shared bits; throws InvalidArgumentError for others.
 */
export const hqq: Solver = {
  name: 'hqq',
  needsStatistics: false,
  solve(input) {
    const importance = new Float32Array(input.columns).fill(1);
    return encodeMatrix(input, { importance, fitScales: fitZeroPoints });
  },
};

/** Scales and zero-points of a matrix. A group's range reaches to zero, because stored zero-points are not negative. */
function fitZeroPoints(matrix: ScaledMatrix): MatrixScales {
  const { format } = matrix;
  const spacing = levelSpacing(format);
  const { lows, highs } = groupRanges(format, matrix);
  const { levels } = format.levelTable;
  const ideal = highs.map((high, i) => (high - lows[i]!) / levels[levels.length - 1]!);
  const bases = chooseScaleBases(format, ideal, matrix);
  const { values, scales } = nearestScales(format, ideal, bases);
  const steps = Float64Array.from(values, (scale) => spacing * scale);
  const start = Float64Array.from(steps, (step, i) => (step > 0 ? -lows[i]! / step : 0));
  const fitted = halfQuadraticZeroPoints(matrix, steps, start);
  const zeroPoints = Uint8Array.from(fitted, (zeroPoint) =>
    Math.min(Math.max(Math.round(spacing * zeroPoint), 0), largestZeroPoint),
  );
  return { values, scales, scaleBases: bases.scaleBases, zeroPoints };
}

/** The distance of neighbouring levels. Throws InvalidArgumentError where the method does not fit the format. */
function levelSpacing({ name, zeroPoint, sharedBits, levelTable: { levels } }: NumberFormat): number {
  const spacing = levels[1]!;
  const isEven = spacing > 0 && levels.every((level, code) => level === spacing * code);
  if (!zeroPoint || sharedBits > 0 || !isEven) {
    throw new InvalidArgumentError(
      `solver "hqq" optimises zero-points, and number format "${name}" has no fitting ones`,
      {
        mend: 'Use a format with zero-points and evenly spaced levels from 0, without shared bits, such as int4-fine-zp-g64.',
      },
    );
  }
  return spacing;
}

/**
 * [rows, groups] zero-points, in steps between neighbouring levels, that the splitting reaches from `start`. A step rounds all weights, takes the
 * large part of each error for an outlier, and puts each zero-point to the mean of what would cancel the rest. The penalty on that rest grows from
 * step to step. Ends when the mean magnitude of the matrix's errors falls no more. `steps` [rows, groups] are the distances of neighbouring
 * levels in weights; 0 for a group of zeros.
 */
export function halfQuadraticZeroPoints(
  { weights, columns, format }: ScaledMatrix,
  steps: Float64Array,
  start: Float64Array,
): Float64Array {
  const { groups } = rowLayout(format, columns);
  const greatest = format.levelTable.levels.length - 1;
  const zeroPoints = start.slice();
  let least = Number.POSITIVE_INFINITY;
  let penalty = firstPenalty;
  for (let iteration = 0; iteration < mostSteps; iteration++, penalty *= penaltyGrowth) {
    const threshold = penalty ** (1 / (norm - 2));
    let total = 0;
    for (const [group, step] of steps.entries()) {
      if (!(step > 0)) continue;
      const inverse = 1 / step;
      const zeroPoint = zeroPoints[group]!;
      const rowStart = Math.floor(group / groups) * columns;
      const from = rowStart + (group % groups) * format.groupSize;
      const to = Math.min(from + format.groupSize, rowStart + columns);
      let sum = 0;
      for (let i = from; i < to; i++) {
        const weight = weights[i]!;
        const code = Math.min(Math.max(Math.round(weight * inverse + zeroPoint), 0), greatest);
        const error = weight - (code - zeroPoint) * step;
        const size = Math.abs(error);
        // The generalized soft threshold of the l_p norm: sign(e) max(|e| - |e|^(p - 1) / beta, 0).
        const outlier = size > threshold ? Math.sign(error) * (size - size ** (norm - 1) / penalty) : 0;
        total += size;
        sum += code - (weight - outlier) * inverse;
      }
      zeroPoints[group] = sum / (to - from);
    }
    if (!(total < least)) break;
    least = total;
  }
  return zeroPoints;
}
