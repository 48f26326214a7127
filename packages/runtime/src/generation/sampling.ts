import { InvalidArgumentError } from '@lbs/format';

/** Chooses the next token from its logits [vocabulary]. */
export type Sampler = (logits: Float32Array) => number;

/** How the next token is chosen. */
export interface SamplingOptions {
  /** 0, the default, always takes the most likely token. */
  readonly temperature?: number;
  /** Same seed, same text. Default 0. */
  readonly seed?: number;
}

/** A sampler for one text. Throws InvalidArgumentError where the temperature is negative or not finite. */
export function createSampler({ temperature = 0, seed = 0 }: SamplingOptions = {}): Sampler {
  if (!(temperature >= 0 && temperature < Number.POSITIVE_INFINITY)) {
    throw new InvalidArgumentError(`temperature ${temperature} is not a number of at least 0`);
  }
  if (temperature === 0) return mostLikely;
  const random = createRandom(seed);
  return (logits) => {
    const largest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    const likelihoods = Float64Array.from(logits, (logit) => Math.exp((logit - largest) / temperature));
    let rest = random() * likelihoods.reduce((a, b) => a + b, 0);
    const token = likelihoods.findIndex((likelihood) => {
      rest -= likelihood;
      return rest < 0;
    });
    // Rounding can leave a crumb behind the last token.
    return token < 0 ? mostLikely(logits) : token;
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
