import {
  decodeLog8,
  encodeLog8,
  float16FromNumber,
  float16NotBelow,
  log8Zero,
  type NumberFormat,
  numberFromFloat16,
} from '@lbs/format';
import type { RowEncoder } from './row-encoder.js';

/** Steps of the coarse search, in octaves below the scale that just reaches the largest weight. */
const coarseSteps = Array.from({ length: 10 }, (_, i) => 2 ** (-(i - 1) / 8));
/** Steps around the coarse optimum. */
const fineSteps = [-3, -2, -1, 1, 2, 3].map((i) => 2 ** (i / 32));

/** The scales of a row's groups: as numbers that the storage holds exactly, and as stored. */
export interface RowScales {
  readonly values: Float32Array;
  /** binary16 bits or log8 codes. */
  readonly stored: Uint16Array;
  /** binary16 bits of the row's base; 0 where the encoding has none. */
  readonly base: number;
}

/**
 * Chooses the scale of each group of a row, among the values that can be stored, by the least weighted squared
 * error: a logarithmic grid below the largest weight, a finer one around its best point, and the closed-form
 * fit to the levels chosen there.
 */
export function searchRowScales(
  format: NumberFormat,
  encoder: RowEncoder,
  weights: Float32Array,
  importance: Float32Array,
): RowScales {
  const { groupSize } = format;
  const groups = Math.ceil(weights.length / groupSize);
  const values = new Float32Array(groups);
  const stored = new Uint16Array(groups);
  const forGroups = (visit: (group: number, start: number, end: number) => void) => {
    for (let group = 0; group < groups; group++) {
      visit(group, group * groupSize, Math.min((group + 1) * groupSize, weights.length));
    }
  };

  if (format.scaleEncoding === 'float16') {
    forGroups((group, start, end) => {
      stored[group] = searchFloat16(encoder, weights, importance, start, end);
      values[group] = numberFromFloat16(stored[group]!);
    });
    return { values, stored, base: 0 };
  }

  // The base must be known before the codes: first the best scales of any value, then the best codes near them.
  const ideal = new Float64Array(groups);
  forGroups((group, start, end) => {
    ideal[group] = searchScale(encoder, weights, importance, start, end, (scale) => scale);
  });
  const base = float16NotBelow(ideal.reduce((a, b) => Math.max(a, b), 0));
  forGroups((group, start, end) => {
    stored[group] = searchLog8(
      encoder,
      weights,
      importance,
      start,
      end,
      numberFromFloat16(base),
      ideal[group]!,
    );
    values[group] = decodeLog8(numberFromFloat16(base), stored[group]!);
  });
  return { values, stored, base };
}

function searchFloat16(
  encoder: RowEncoder,
  weights: Float32Array,
  importance: Float32Array,
  start: number,
  end: number,
): number {
  const largestFloat16 = 65504;
  const storable = (scale: number) => numberFromFloat16(float16FromNumber(Math.min(scale, largestFloat16)));
  return float16FromNumber(searchScale(encoder, weights, importance, start, end, storable));
}

function searchLog8(
  encoder: RowEncoder,
  weights: Float32Array,
  importance: Float32Array,
  start: number,
  end: number,
  base: number,
  ideal: number,
): number {
  const nearest = encodeLog8(base, ideal);
  if (nearest === log8Zero) return log8Zero;
  let best = nearest;
  let bestError = Number.POSITIVE_INFINITY;
  for (let code = Math.max(nearest - 2, 0); code <= Math.min(nearest + 2, log8Zero - 1); code++) {
    const { error } = encoder.fit(weights, importance, start, end, decodeLog8(base, code));
    if (error < bestError) [best, bestError] = [code, error];
  }
  return best;
}

/** The storable scale of the least error that the search finds; 0 for a group without weights that count. */
function searchScale(
  encoder: RowEncoder,
  weights: Float32Array,
  importance: Float32Array,
  start: number,
  end: number,
  storable: (scale: number) => number,
): number {
  let best = 0;
  let bestError = Number.POSITIVE_INFINITY;
  let refitted = 0;
  const consider = (candidate: number): void => {
    const scale = storable(candidate);
    if (!(scale > 0)) return;
    const fit = encoder.fit(weights, importance, start, end, scale);
    if (fit.error < bestError) {
      bestError = fit.error;
      best = scale;
      refitted = fit.refittedScale;
    }
  };
  const reaching = encoder.reachingScale(weights, importance, start, end);
  for (const step of coarseSteps) consider(reaching * step);
  const coarse = best;
  for (const step of fineSteps) consider(coarse * step);
  consider(refitted);
  return best;
}
