import { exponential } from './exponential.js';

/** A token and the logarithm of its probability, in nats. */
export interface TokenLogProbability {
  readonly token: number;
  readonly logProbability: number;
}

/** Log-probabilities of a model's own distribution: before temperature and whatever else changes it. */
export class LogProbabilities {
  private readonly logSum: number;

  /** @param logits [vocabulary] */
  constructor(private readonly logits: Float32Array) {
    const greatest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    let sum = 0;
    for (const logit of logits) sum += exponential(logit - greatest);
    this.logSum = greatest + Math.log(sum);
  }

  of(token: number): number {
    return this.logits[token]! - this.logSum;
  }

  /** The most likely tokens, in order; of equals the lower id first. */
  top(count: number): readonly TokenLogProbability[] {
    const best: number[] = [];
    for (let token = 0; token < this.logits.length && count > 0; token++) {
      const isFull = best.length === count;
      if (isFull && this.logits[token]! <= this.logits[best.at(-1)!]!) continue;
      if (isFull) best.pop();
      let at = best.length;
      while (at > 0 && this.logits[best[at - 1]!]! < this.logits[token]!) at--;
      best.splice(at, 0, token);
    }
    return best.map((token) => ({ token, logProbability: this.of(token) }));
  }
}
