import {
  checkDistributionOptions,
  type DistributionOptions,
  penalized,
  tokenDistribution,
} from './token-distribution.js';

/** Chooses the next token from its logits [vocabulary] and the tokens before it. */
export type Sampler = (logits: Float32Array, context?: readonly number[]) => number;

/** How the next token is chosen. */
export interface SamplingOptions extends DistributionOptions {
  /** Same seed, same text. Default 0. */
  readonly seed?: number;
}

/** A sampler for one text. Throws InvalidArgumentError for an option that is out of its range. */
export function createSampler({ seed = 0, ...options }: SamplingOptions = {}): Sampler {
  checkDistributionOptions(options);
  const { temperature = 0, repetitionPenalty = 1 } = options;
  if (temperature === 0)
    return (logits, context = []) => mostLikely(penalized(logits, context, repetitionPenalty));
  const random = createRandom(seed);
  return (logits, context = []) => {
    const { tokens, probabilities } = tokenDistribution(logits, context, options);
    let rest = random();
    const chosen = probabilities.findIndex((probability) => {
      rest -= probability;
      return rest < 0;
    });
    // Rounding can leave a crumb behind the last token.
    return tokens[chosen < 0 ? tokens.length - 1 : chosen]!;
  };
}

function mostLikely(logits: Float32Array): number {
  let best = 0;
  for (let token = 1; token < logits.length; token++) if (logits[token]! > logits[best]!) best = token;
  return best;
}

/** Uniform numbers in [0, 1) from a 32-bit state (Mulberry32). */
export function createRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
