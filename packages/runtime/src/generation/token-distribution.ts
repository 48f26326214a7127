import { InvalidArgumentError } from '@lbs/format';
import { exponential } from './exponential.js';

/** What becomes of logits before a token is drawn. */
export interface DistributionOptions {
  /** Divides the logits. 0, the default, always takes the most likely token. */
  readonly temperature?: number;
  /** Keeps the so many most likely tokens, and those as likely as the last of them. Default all. */
  readonly topK?: number;
  /** Keeps the most likely tokens that have this probability together (arXiv 1904.09751). Default 1. */
  readonly topP?: number;
  /** Keeps the tokens that have this part of the probability of the most likely one (arXiv 2407.01082). Default 0. */
  readonly minP?: number;
  /** Above 1, tokens that are in the context become less likely (arXiv 1909.05858, section 4.1). Default 1. */
  readonly repetitionPenalty?: number;
}

/** Tokens that may follow, in the order of their ids, and their probabilities. */
export interface TokenDistribution {
  readonly tokens: readonly number[];
  readonly probabilities: Float64Array;
}

/** Throws InvalidArgumentError for an option that is out of its range. */
export function checkDistributionOptions(options: DistributionOptions): void {
  const { temperature = 0, topK = 1, topP = 1, minP = 0, repetitionPenalty = 1 } = options;
  const isBounded = (value: number) => value < Number.POSITIVE_INFINITY;
  const require = (holds: boolean, name: string, value: number, range: string) => {
    if (!holds) throw new InvalidArgumentError(`${name} ${value} is not ${range}`);
  };
  require(temperature >= 0 && isBounded(temperature), 'temperature', temperature, 'a number of at least 0');
  require(Number.isInteger(topK) && topK >= 1, 'topK', topK, 'a whole number of at least 1');
  require(topP > 0 && topP <= 1, 'topP', topP, 'above 0 and at most 1');
  require(minP >= 0 && minP <= 1, 'minP', minP, 'between 0 and 1');
  require(repetitionPenalty > 0 &&
    isBounded(repetitionPenalty), 'repetitionPenalty', repetitionPenalty, 'above 0');
}

/** Logits with the penalty for tokens of the context, in float32 as in PyTorch; the same array where there is none. */
export function penalized(logits: Float32Array, context: readonly number[], penalty: number): Float32Array {
  if (penalty === 1) return logits;
  const scores = logits.slice();
  for (const token of new Set(context)) {
    const logit = logits[token]!;
    scores[token] = logit < 0 ? logit * penalty : logit / penalty;
  }
  return scores;
}

/**
 * The distribution that is sampled from, at a temperature above 0: repetition penalty, temperature, top-k, top-p, min-p, in the order of
 * transformers' logits processors, each on what the one before it kept.
 */
export function tokenDistribution(
  logits: Float32Array,
  context: readonly number[],
  { temperature = 1, topK, topP = 1, minP = 0, repetitionPenalty = 1 }: DistributionOptions,
): TokenDistribution {
  const scores = penalized(logits, context, repetitionPenalty).map((score) => score / temperature);
  let tokens: readonly number[] = Array.from(scores, (_, token) => token);
  if (topK !== undefined && topK < scores.length) {
    const least = scores.slice().sort()[scores.length - topK]!;
    tokens = tokens.filter((token) => scores[token]! >= least);
  }
  if (topP < 1) tokens = nucleus(tokens, scores, topP);
  let probabilities = softmax(tokens, scores);
  if (minP > 0) {
    const least = minP * probabilities.reduce((a, b) => Math.max(a, b), 0);
    tokens = tokens.filter((_, i) => probabilities[i]! >= least);
    probabilities = softmax(tokens, scores);
  }
  return { tokens, probabilities };
}

/** The fewest tokens, most likely first, that have the probability together. */
function nucleus(tokens: readonly number[], scores: Float32Array, topP: number): readonly number[] {
  const sorted = [...tokens].sort((a, b) => scores[b]! - scores[a]! || a - b);
  const probabilities = softmax(sorted, scores);
  let sum = 0;
  const count = probabilities.findIndex((probability) => {
    sum += probability;
    return sum >= topP;
  });
  return (count < 0 ? sorted : sorted.slice(0, count + 1)).sort((a, b) => a - b);
}

function softmax(tokens: readonly number[], scores: Float32Array): Float64Array {
  const greatest = tokens.reduce((most, token) => Math.max(most, scores[token]!), Number.NEGATIVE_INFINITY);
  const exponentials = Float64Array.from(tokens, (token) => exponential(scores[token]! - greatest));
  const sum = exponentials.reduce((a, b) => a + b, 0);
  return exponentials.map((value) => value / sum);
}
