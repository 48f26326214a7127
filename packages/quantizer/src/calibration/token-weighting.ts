import type { CalibrationBlock, CalibrationSequence } from './calibration-model.js';

/** How much each token of a calibration sequence counts in the second moments of a block's inputs. */
export interface TokenWeighting {
  readonly name: string;
  /**
   * [tokens] of one sequence, at least 0; `greatest` is how much more than the least a token may count. The block has begun with the sequence, and
   * its weights are still the original ones.
   */
  weights(sequence: CalibrationSequence, block: CalibrationBlock, greatest: number): Float32Array;
}

function tokensOf({ input }: CalibrationSequence, { stages }: CalibrationBlock): number {
  return input.length / stages[0]!.columns;
}

/** Every token counts the same. */
export const uniformWeighting: TokenWeighting = {
  name: 'uniform',
  weights: (sequence, block) => new Float32Array(tokensOf(sequence, block)).fill(1),
};

/**
 * The first position counts `greatest` times as much as another: it is the attention sink, which every later token reads (arXiv 2309.17453), and
 * its massive activations steer the model.
 */
export const firstPositionWeighting: TokenWeighting = {
  name: 'first-position',
  weights(sequence, block, greatest) {
    const weights = uniformWeighting.weights(sequence, block, greatest);
    weights[0] = greatest;
    return weights;
  },
};

/** By the attention that a token receives, from 1 for the least to `greatest` for the most; RSQ (arXiv 2503.01820). */
export const attentionWeighting: TokenWeighting = {
  name: 'attention-received',
  weights(sequence, block, greatest) {
    const received = block.attentionReceived(sequence);
    const [least, most] = [Math.min(...received), Math.max(...received)];
    return received.map((sum) => (most > least ? 1 + ((greatest - 1) * (sum - least)) / (most - least) : 1));
  },
};

/** All token weightings, for a registry. */
export const tokenWeightings: readonly TokenWeighting[] = [
  uniformWeighting,
  firstPositionWeighting,
  attentionWeighting,
];
