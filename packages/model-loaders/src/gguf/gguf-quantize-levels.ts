import { farthestFromZero, reciprocal, writeFloat16 } from './gguf-quantize-blocks.js';
import { type BlockQuantizer, blockwiseQuantizer } from './gguf-quantizer.js';
import { nonLinearLevels } from './gguf-table-blocks.js';

const { fround } = Math;

const BLOCK = 32;
const HALF = 16;

/** Scales that are tried on either side of the one that makes the first level of the value farthest from zero. */
const TRIES = 7;

/** Below this magnitude a block is all zeros. */
const LEAST_MAGNITUDE = 1e-15;

const levels = Float32Array.from(nonLinearLevels);
const last = levels.length - 1;

/** For every whole number between the first level and the last the level that is not above it. */
const levelBelow = Uint8Array.from({ length: levels[last]! - levels[0]! }, (_, i) =>
  levels.findLastIndex((level) => level <= levels[0]! + i),
);

/** The level that is nearest to `x`; of two the greater. Differences are rounded to float32, as the reference has them. */
function nearestLevel(x: number): number {
  if (x <= levels[0]!) return 0;
  if (x >= levels[last]!) return last;
  const below = levelBelow[Math.floor(x) - levels[0]!]!;
  return fround(x - levels[below]!) < fround(levels[below + 1]! - x) ? below : below + 1;
}

/** sum(w q x) and sum(w q^2) of the last call of `fit`. */
const sums = new Float32Array(2);

/** Sums up over the values x of a block, with weights w = x^2 and the levels q that are nearest to x under a scale. */
function fit(values: Float32Array, index: number, inverse: number): void {
  let numerator = 0;
  let denominator = 0;
  for (let j = index; j < index + BLOCK; j++) {
    const value = values[j]!;
    const level = levels[nearestLevel(fround(inverse * value))]!;
    const weighted = fround(fround(value * value) * level);
    numerator = fround(numerator + fround(weighted * value));
    denominator = fround(denominator + fround(weighted * level));
  }
  sums[0] = numerator;
  sums[1] = denominator;
}

/**
 * Of 16 scales the one with the least squared error, each value weighted with its square, and refitted by least
 * squares: the search of `quantize_iq4_nl` in ggml-quants.c without an importance matrix. With levels q the error is
 * least where sum(w q x)^2 / sum(w q^2) is greatest.
 */
function bestScale(values: Float32Array, index: number): number {
  const farthest = farthestFromZero(values, index);
  if (Math.abs(farthest) < LEAST_MAGNITUDE) return 0;
  let scale = 0;
  let best = 0;
  // The first scale is on the other side of zero: there the level farthest from zero is the last one.
  fit(values, index, fround(1 / fround(-farthest / levels[0]!)));
  for (let step = -TRIES; step <= TRIES + 1; step++) {
    const numerator = sums[0]!;
    const denominator = sums[1]!;
    const isBetter = step === -TRIES || fround(numerator * numerator) > fround(best * denominator);
    if (denominator > 0 && isBetter) {
      scale = fround(numerator / denominator);
      best = fround(scale * numerator);
    }
    if (step <= TRIES) fit(values, index, fround((step + levels[0]!) / farthest));
  }
  return scale;
}

const iq4_nl: BlockQuantizer = (values, index, target, offset) => {
  const scale = bestScale(values, index);
  const inverse = reciprocal(scale);
  writeFloat16(scale, target, offset);
  const codeOf = (value: number) => nearestLevel(fround(inverse * value));
  for (let j = 0; j < HALF; j++) {
    target[offset + 2 + j] = codeOf(values[index + j]!) | (codeOf(values[index + j + HALF]!) << 4);
  }
};

/** The type with levels that are not evenly spaced. */
export const levelQuantizers = [blockwiseQuantizer('IQ4_NL', 25, iq4_nl)];
