import { float32Bits } from './score-bits.js';
import { BoundaryHistogram, countLowerBits, leastBits, ScoreHistogram } from './score-histogram.js';
import { indicesOfLeast } from './score-scan.js';
import { keepTopK } from './top-k-threshold.js';

/**
 * Indices of the `k` largest scores, ascending. Exact and deterministic: among equal scores the lower index wins. O(n):
 * a histogram finds the upper 16 bits of the k-th largest score, and only the scores from there up are looked at again.
 * Throws InvalidArgumentError where a score is negative, infinite or NaN, or `k` is not a whole number from 0 to the
 * number of scores.
 */
export function selectTopK(scores: Float32Array, k: number): Uint32Array {
  const histogram = new ScoreHistogram();
  histogram.add(scores);
  const boundary = histogram.boundary(k);
  const candidates = indicesOfLeast(scores, leastBits(boundary));
  const second = new BoundaryHistogram(boundary);
  countLowerBits(second, scores, candidates);
  const { score, ties } = second.threshold();
  return keepTopK(scores, candidates, { least: float32Bits(score), ties }).selected;
}
