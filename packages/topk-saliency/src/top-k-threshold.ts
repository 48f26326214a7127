import { InvalidArgumentError } from '@lbs/format';
import { assertScores, bitsOf, float32Bits, float32OfBits, greatestBits, signless } from './score-bits.js';
import { indicesOfLeast } from './score-scan.js';

/**
 * What separates the top K scores from the rest: all above `score` belong to them, and the first `ties` of those that
 * equal it. Plain data, which JSON keeps exactly.
 */
export interface TopKThreshold {
  /** A float32 number of at least 0. */
  readonly score: number;
  readonly ties: number;
}

/** What a threshold selects from one tensor of several. */
export interface ThresholdSelection {
  /** Ascending indices. */
  readonly selected: Uint32Array;
  /** The threshold for the tensor that comes next: fewer ties are left. */
  readonly next: TopKThreshold;
}

/**
 * Selects the part of the top K that lies in these scores. Tensors come in the order of the passes that found the
 * threshold, each with the `next` of the one before; among ties the earlier tensor wins, then the lower index. O(n).
 * Throws InvalidArgumentError where `threshold` is none, or a score that it would select is infinite, NaN or negative.
 */
export function selectByThreshold(scores: Float32Array, threshold: TopKThreshold): ThresholdSelection {
  const { score, ties } = threshold;
  if (!(score >= 0 && score < Number.POSITIVE_INFINITY && Math.fround(score) === score)) {
    throw new InvalidArgumentError(
      `the threshold's score is ${score}, not a finite float32 number of at least 0`,
    );
  }
  if (!Number.isSafeInteger(ties) || ties < 0) {
    throw new InvalidArgumentError(`the threshold's ties are ${ties}, not a whole number of at least 0`);
  }
  const least = float32Bits(Math.abs(score));
  return keepTopK(scores, indicesOfLeast(scores, least), { least, ties });
}

/**
 * Keeps of `candidates`, the ascending indices of at least all scores with bits from `least` on, those with greater
 * bits and the first `ties` with equal ones. Overwrites the candidates.
 */
export function keepTopK(
  scores: Float32Array,
  candidates: Uint32Array,
  { least, ties }: { readonly least: number; readonly ties: number },
): ThresholdSelection {
  const bits = bitsOf(scores);
  let tiesLeft = ties;
  let count = 0;
  let greatest = 0;
  for (const index of candidates) {
    greatest = Math.max(greatest, bits[index]!);
    const candidate = bits[index]! & signless;
    if (candidate < least) continue;
    if (candidate === least) {
      if (tiesLeft === 0) continue;
      tiesLeft--;
    }
    candidates[count++] = index;
  }
  // -0 is a valid score with greater bits, so that only a look at each tells.
  if (greatest > greatestBits) assertScores(scores);
  return { selected: candidates.slice(0, count), next: { score: float32OfBits(least), ties: tiesLeft } };
}
