import type { RowSummary } from './log-softmax.js';
import {
  covarianceOfMeans,
  type Estimate,
  meanWithStandardError,
  percentile,
  shareWithStandardError,
} from './statistics.js';

/**
 * How far a model's next-token distributions are from the reference's; the figures of llama.cpp's
 * --kl-divergence.
 */
export interface KlDivergence {
  /** Mean of KL(reference || model) over the scored positions, nats. */
  readonly mean: number;
  readonly stderr: number;
  readonly median: number;
  readonly p90: number;
  readonly p95: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
  /** Share of positions where both models have the same most likely token. */
  readonly topAgreement: number;
  readonly topAgreementStderr: number;
  /** Model's probability of the true token less the reference's: mean, and root mean square. */
  readonly deltaProbability: Estimate;
  readonly rmsDeltaProbability: Estimate;
  /** ln(PPL(model) / PPL(reference)); the error accounts for the correlation of the two. */
  readonly logPerplexityRatio: Estimate;
}

/** Logits of scored positions [rows, vocabulary] with their summary and the losses of the true tokens. */
export interface ScoredRows {
  readonly logits: Float32Array;
  readonly summary: RowSummary;
  /** Negative log-likelihood of the true token, per row. */
  readonly losses: Float64Array;
}

/** Per-position figures of one model against the reference, for `positions` scored positions in all. */
export class KlDivergenceAccumulator {
  readonly losses: Float64Array;
  readonly #referenceLosses: Float64Array;
  readonly #divergences: Float64Array;
  #agreements = 0;
  #count = 0;

  constructor(positions: number) {
    this.losses = new Float64Array(positions);
    this.#referenceLosses = new Float64Array(positions);
    this.#divergences = new Float64Array(positions);
  }

  add(reference: ScoredRows, model: ScoredRows): void {
    const rows = model.losses.length;
    const vocabularySize = model.logits.length / rows;
    this.losses.set(model.losses, this.#count);
    this.#referenceLosses.set(reference.losses, this.#count);
    for (let row = 0; row < rows; row++) {
      this.#divergences[this.#count + row] = rowDivergence(reference, model, row, vocabularySize);
      if (reference.summary.argmax[row] === model.summary.argmax[row]) this.#agreements++;
    }
    this.#count += rows;
  }

  /** Call once all positions are added. */
  result(): KlDivergence {
    const mean = meanWithStandardError(this.#divergences);
    const sorted = this.#divergences.slice().sort();
    const agreement = shareWithStandardError(this.#agreements, this.#count);
    const deltas = this.losses.map((loss, i) => Math.exp(-loss) - Math.exp(-this.#referenceLosses[i]!));
    return {
      mean: mean.value,
      stderr: mean.stderr,
      median: percentile(sorted, 0.5),
      p90: percentile(sorted, 0.9),
      p95: percentile(sorted, 0.95),
      p99: percentile(sorted, 0.99),
      p999: percentile(sorted, 0.999),
      max: sorted[sorted.length - 1]!,
      topAgreement: agreement.value,
      topAgreementStderr: agreement.stderr,
      deltaProbability: meanWithStandardError(deltas),
      rmsDeltaProbability: rootMeanSquare(deltas),
      logPerplexityRatio: logRatio(this.losses, this.#referenceLosses),
    };
  }
}

/**
 * KL(reference || model) of one row: sum p (a - b) - lse(a) + lse(b) with p = exp(a - lse(a)), in float64.
 * Unlike llama.cpp, which stores the reference with 16 bits and leaves out what is less likely than e^-16,
 * nothing is rounded.
 */
function rowDivergence(
  reference: ScoredRows,
  model: ScoredRows,
  row: number,
  vocabularySize: number,
): number {
  const a = reference.logits;
  const b = model.logits;
  const aNormalizer = reference.summary.logSumExp[row]!;
  const bNormalizer = model.summary.logSumExp[row]!;
  const end = (row + 1) * vocabularySize;
  let sum = 0;
  for (let i = row * vocabularySize; i < end; i++) {
    const probability = Math.exp(a[i]! - aNormalizer);
    // A token that the reference excludes (-Infinity) adds nothing, whatever the model says: 0 log 0 = 0.
    if (probability > 0) sum += probability * (a[i]! - b[i]!);
  }
  // The divergence is never negative; rounding can make it so by 1e-15.
  return Math.max(0, sum - aNormalizer + bNormalizer);
}

/** sqrt of the mean square; its error by the first-order rule, 0.5 / rms times that of the mean square. */
function rootMeanSquare(values: Float64Array): Estimate {
  const meanSquare = meanWithStandardError(values.map((value) => value * value));
  const value = Math.sqrt(meanSquare.value);
  return { value, stderr: value === 0 ? 0 : (0.5 / value) * meanSquare.stderr };
}

function logRatio(losses: Float64Array, referenceLosses: Float64Array): Estimate {
  const model = meanWithStandardError(losses);
  const reference = meanWithStandardError(referenceLosses);
  const covariance = covarianceOfMeans(losses, referenceLosses);
  const variance = model.stderr ** 2 + reference.stderr ** 2 - 2 * covariance;
  // Equal models have variance 0, which rounding can make negative.
  return { value: model.value - reference.value, stderr: Math.sqrt(Math.max(0, variance)) };
}
