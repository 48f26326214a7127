import {
  decodeLog8,
  encodeLog8,
  float16FromNumber,
  float16NotBelow,
  log8Zero,
  type NumberFormat,
  numberFromFloat16,
} from '@lbs/format';
import type { RowEncoder, WeightGroup } from './row-encoder.js';

/** Steps of the coarse search, in octaves below the scale that just reaches the largest weight. */
const coarseSteps = Array.from({ length: 10 }, (_, i) => 2 ** (-(i - 1) / 8));
/** Steps around the coarse optimum. */
const fineSteps = [-3, -2, -1, 1, 2, 3].map((i) => 2 ** (i / 32));
/** Codes of the log8 grid, in steps of 2^(1/32), that are tried on both sides of the ideal scale. */
const nearbyCodes = 2;
const largestFloat16 = 65504;

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
  const groups = Array.from(
    { length: Math.ceil(weights.length / format.groupSize) },
    (_, group): WeightGroup => {
      const start = group * format.groupSize;
      return { weights, importance, start, end: Math.min(start + format.groupSize, weights.length) };
    },
  );
  if (format.scaleEncoding === 'float16') {
    const stored = Uint16Array.from(groups, (group) => searchFloat16(encoder, group));
    return { values: Float32Array.from(stored, numberFromFloat16), stored, base: 0 };
  }
  // The base must be known before the codes: first good scales of any value, then the best codes near them.
  const ideal = groups.map((group) => coarseScale(encoder, group, (scale) => scale).scale);
  const base = float16NotBelow(ideal.reduce((a, b) => Math.max(a, b), 0));
  const baseValue = numberFromFloat16(base);
  const stored = Uint16Array.from(groups, (group, i) => searchLog8(encoder, group, baseValue, ideal[i]!));
  return { values: Float32Array.from(stored, (code) => decodeLog8(baseValue, code)), stored, base };
}

function searchFloat16(encoder: RowEncoder, group: WeightGroup): number {
  const storable = (scale: number) => numberFromFloat16(float16FromNumber(Math.min(scale, largestFloat16)));
  const best = coarseScale(encoder, group, storable);
  const coarse = best.scale;
  for (const step of fineSteps) best.consider(coarse * step);
  best.consider(encoder.refittedScale(group, best.scale));
  return float16FromNumber(best.scale);
}

function searchLog8(encoder: RowEncoder, group: WeightGroup, base: number, ideal: number): number {
  const nearest = encodeLog8(base, ideal);
  if (nearest === log8Zero) return log8Zero;
  const best = new BestScale(encoder, group, (scale) => scale);
  let bestCode = nearest;
  for (
    let code = Math.max(nearest - nearbyCodes, 0);
    code <= Math.min(nearest + nearbyCodes, log8Zero - 1);
    code++
  ) {
    if (best.consider(decodeLog8(base, code))) bestCode = code;
  }
  return bestCode;
}

/** The best point of the coarse grid, or the closed-form fit to its levels where that is better. */
function coarseScale(
  encoder: RowEncoder,
  group: WeightGroup,
  storable: (scale: number) => number,
): BestScale {
  const best = new BestScale(encoder, group, storable);
  const reaching = encoder.reachingScale(group);
  for (const step of coarseSteps) best.consider(reaching * step);
  best.consider(encoder.refittedScale(group, best.scale));
  return best;
}

/** The storable scale with the least error of those considered; 0 for a group without weights that count. */
class BestScale {
  scale = 0;
  private error = Number.POSITIVE_INFINITY;

  constructor(
    private readonly encoder: RowEncoder,
    private readonly group: WeightGroup,
    private readonly storable: (scale: number) => number,
  ) {}

  /** Whether the candidate is better than those before it. */
  consider(candidate: number): boolean {
    const scale = this.storable(candidate);
    if (!(scale > 0)) return false;
    const error = this.encoder.error(this.group, scale, this.error);
    if (!(error < this.error)) return false;
    this.error = error;
    this.scale = scale;
    return true;
  }
}
