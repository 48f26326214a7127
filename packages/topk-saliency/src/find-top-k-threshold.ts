import { type SalientAmount, salientCount } from './salient-amount.js';
import { BoundaryHistogram, ScoreHistogram } from './score-histogram.js';
import type { TopKThreshold } from './top-k-threshold.js';

/** The scores of tensors, one after the other. */
export type ScoreSource = Iterable<Float32Array> | AsyncIterable<Float32Array>;

/**
 * The threshold of the top K over all tensors of a model, in memory that does not depend on its size. `scores` is
 * called twice and must give the same scores both times; at most one tensor's are held. Then `selectByThreshold`
 * selects from each tensor what sorting all scores would: among ties the earlier tensor wins, then the lower index.
 * Rejects with InvalidArgumentError where a score is not valid, the amount is more than there is or the passes differ,
 * and with what `scores` throws.
 */
export async function findTopKThreshold(
  scores: () => ScoreSource,
  amount: SalientAmount,
): Promise<TopKThreshold> {
  const first = new ScoreHistogram();
  for await (const tensor of scores()) first.add(tensor);
  const second = new BoundaryHistogram(first.boundary(salientCount(amount, first.total)));
  for await (const tensor of scores()) second.add(tensor);
  return second.threshold();
}
