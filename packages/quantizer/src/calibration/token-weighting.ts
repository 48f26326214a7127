/** How much each token of a calibration sequence counts in the second moments. */
export interface TokenWeighting {
  readonly name: string;
  /** [tokens] of one sequence, at least 0. */
  weights(tokens: number): Float32Array;
}

/**
 * The first position counts `times` as much as another: it is the attention sink, which every later token reads (arXiv 2309.17453), and
 * its massive activations steer the model.
 */
export function firstPositionWeighting(times: number): TokenWeighting {
  return {
    name: `first-position-${times}`,
    weights(tokens) {
      const weights = new Float32Array(tokens).fill(1);
      weights[0] = times;
      return weights;
    },
  };
}
