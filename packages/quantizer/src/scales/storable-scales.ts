import { type NumberFormat, partSizes, scaleEncodingOf, writeScaleCode } from '@lbs/format';
import type { CodeSearch } from '@lbs/kernels';
import { groupRanges, reachingScales } from './group-ranges.js';
import { chooseScaleBases, type MatrixScales } from './matrix-scales.js';
import { ScaleTrial } from './scale-trial.js';

/** Steps of the coarse search, in octaves around the scale that just reaches the largest weight of a group. */
const coarseSteps = Array.from({ length: 11 }, (_, i) => 2 ** (-(i - 1) / 8));
/** Steps around the coarse optimum. */
const fineSteps = [-3, -2, -1, 1, 2, 3].map((i) => 2 ** (i / 32));
/** Codes relative to a base that are tried on both sides of the ideal scale. */
const nearbyCodes = 2;

/** A matrix whose scales are sought, [rows, columns]. */
interface WeightMatrix {
  readonly weights: Float32Array;
  readonly rows: number;
  readonly columns: number;
  /** [columns] how much squared errors count; or [rows, columns] for each weight. */
  readonly importance: Float32Array;
}

/**
 * Chooses the scales of all groups of a matrix at once, among those that can be stored, by the least importance-weighted squared error: a
 * coarse logarithmic grid below the scale that just reaches the largest weight, and the closed-form fit to the levels chosen at its best point.
 * Then a finer grid around it and another fit; or where scales are relative to a base, which follows from the largest scale found so far, the
 * codes around it. Each scale is tried with the zero-points at which it falls short of both ends of the weights by as much, or nearly.
 */
export function searchStorableScales(
  format: NumberFormat,
  search: CodeSearch,
  matrix: WeightMatrix,
): MatrixScales {
  const sizes = partSizes(format, matrix.rows, matrix.columns);
  const encoding = scaleEncodingOf(format);
  const { base } = encoding;
  const ranges = groupRanges(format, matrix);
  const reaching = reachingScales(format, ranges);
  const storable = base
    ? (scale: number) => scale
    : (scale: number) => encoding.decode(encoding.nearest(scale, 1), 1);
  const trial = new ScaleTrial(format, search, ranges, reaching.map(storable));
  for (const step of coarseSteps) trial.consider(reaching.map((scale) => storable(scale * step)));
  trial.consider(closedFormScales(format, search, matrix, trial).map(storable));
  if (!base) {
    const coarse = trial.best.slice();
    for (const step of fineSteps) trial.consider(coarse.map((scale) => storable(scale * step)));
    trial.consider(closedFormScales(format, search, matrix, trial).map(storable));
    const scales = new Uint8Array(sizes.scales);
    for (const [i, scale] of trial.best.entries()) {
      writeScaleCode(scales, encoding.bytes, i, encoding.nearest(scale, 1));
    }
    return { values: trial.best, scales, scaleBases: new Uint8Array(), zeroPoints: trial.zeroPoints };
  }

  const { scaleBases, baseOf } = chooseScaleBases(format, trial.best, matrix);
  const nearest = Float64Array.from(trial.best, (scale, i) => encoding.nearest(scale, baseOf[i]!));
  const valuesOf = (codes: Float64Array) =>
    Float32Array.from(codes, (code, i) => encoding.decode(code, baseOf[i]!));
  const relative = new ScaleTrial(format, search, ranges, valuesOf(nearest));
  const codes = nearest.slice();
  for (let step = -nearbyCodes; step <= nearbyCodes; step++) {
    // Codes past the last one stand for 0 or for no number, and are not better than anything.
    const tried = nearest.map((code) => Math.max(code + step, 0));
    for (const i of relative.consider(valuesOf(tried))) codes[i] = tried[i]!;
  }
  const scales = new Uint8Array(sizes.scales);
  for (const [i, code] of codes.entries()) writeScaleCode(scales, encoding.bytes, i, code);
  return { values: relative.best, scales, scaleBases, zeroPoints: relative.zeroPoints };
}

/** [rows, groups] for each group <weight, level> / <level, level>, weighted with the importance, of the levels that the present scales choose. */
function closedFormScales(
  { groupSize, sharedBits, sharingBlock, levelTable: { levels, centre } }: NumberFormat,
  search: CodeSearch,
  { weights, rows, columns, importance }: WeightMatrix,
  { best: scales, zeroPoints }: Pick<ScaleTrial, 'best' | 'zeroPoints'>,
): Float32Array {
  const { codes, shared } = search.choose({ scales, ...(zeroPoints.length > 0 && { zeroPoints }) });
  const groups = Math.ceil(columns / groupSize);
  const blocks = Math.ceil(columns / sharingBlock);
  const blockSize = sharedBits > 0 ? sharingBlock : groupSize;
  const offsets = Float64Array.from(levels, (level) => level - centre);
  const products = new Float64Array(scales.length);
  const squares = new Float64Array(scales.length);
  const importanceStride = importance.length === columns ? 0 : columns;
  for (let row = 0; row < rows; row++) {
    const start = row * columns;
    const importanceStart = row * importanceStride;
    for (let from = 0; from < columns; from += blockSize) {
      const to = Math.min(from + blockSize, columns);
      const low = sharedBits > 0 ? shared[row * blocks + from / blockSize]! : 0;
      const group = row * groups + Math.floor(from / groupSize);
      let product = products[group]!;
      let square = squares[group]!;
      const zeroPoint = zeroPoints[group] ?? 0;
      for (let column = from; column < to; column++) {
        const level = offsets[(codes[start + column]! << sharedBits) | low]! - zeroPoint;
        const counts = importance[importanceStart + column]!;
        product += counts * weights[start + column]! * level;
        square += counts * level * level;
      }
      products[group] = product;
      squares[group] = square;
    }
  }
  return Float32Array.from(products, (product, i) =>
    squares[i]! > 0 ? Math.max(product / squares[i]!, 0) : 0,
  );
}
