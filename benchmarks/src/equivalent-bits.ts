import type { Estimate } from './benchmark-results.js';

/** A rate in bits per weight, and the KL divergence to the original that a recipe reaches with it. */
export interface RatedDivergence {
  readonly bitsPerWeight: number;
  readonly kld: Estimate;
}

/** How much the logarithm of the KL divergence falls with each bit per weight, from two rates of one method. */
export function logDivergencePerBit(low: RatedDivergence, high: RatedDivergence): number {
  return Math.log(low.kld.value / high.kld.value) / (high.bitsPerWeight - low.bitsPerWeight);
}

/**
 * Bits per weight that a recipe saves against another one: those that would bring the other one to the same KL divergence, less those that
 * the recipe has more. The error counts the two divergences as independent; both come from the same tokens, so that the true one is smaller.
 */
export function bitsSaved(recipe: RatedDivergence, other: RatedDivergence, perBit: number): Estimate {
  const gained = Math.log(other.kld.value / recipe.kld.value) / perBit;
  const relativeError = ({ kld }: RatedDivergence) => kld.stderr / kld.value;
  return {
    value: gained - (recipe.bitsPerWeight - other.bitsPerWeight),
    stderr: Math.hypot(relativeError(recipe), relativeError(other)) / perBit,
  };
}
