import type { Environment } from './environment.js';

/** A measured value and its standard error. */
export interface Estimate {
  readonly value: number;
  readonly stderr: number;
}

/** Mean KL divergence to the float32 model, nats, its 99th percentile, and the share of tokens with the same most likely one. */
export interface KlDivergence extends Estimate {
  readonly p99: number;
  readonly topAgreement: number;
}

/** Tokens per second: the median of the samples and their quartiles. */
export interface Speed {
  readonly median: number;
  readonly lowerQuartile: number;
  readonly upperQuartile: number;
  readonly samples: number;
}

export interface ModelSize {
  /** Over the quantized matrices, from the bytes written: codes, shared bits, scales, salient weights, shapes. */
  readonly bitsPerWeight: number;
  /** What the salient weights have of it. */
  readonly salientBitsPerWeight: number;
  /** Of `model.safetensors`, with the embeddings and norms that stay as they were. */
  readonly bytes: number;
}

/** One line of the table. */
export interface ResultRow extends ModelSize {
  readonly model: string;
  readonly format: string;
  /** How the codes are chosen. */
  readonly method: string;
  readonly perplexity: Estimate;
  /** Null for the float32 model itself. */
  readonly kld: KlDivergence | null;
  /** Share of the zero-shot items answered right; null where they were not asked. */
  readonly accuracy: Estimate | null;
  readonly prefillTokensPerSecond: Speed;
  readonly decodeTokensPerSecond: Speed;
}

/** One recipe of an ablation. */
export interface AblationRow extends ModelSize {
  /** Of the recipe. */
  readonly name: string;
  /** The part that a step adds, or that an alternative has something else for; null for the recipe that alternatives stand against. */
  readonly part: string | null;
  /** What an alternative has in the place of the part; null for others. */
  readonly instead: string | null;
  readonly perplexity: Estimate;
  readonly kld: KlDivergence;
  /**
   * What the part is worth in bits per weight: for a step against the step before it, null for the first; for an alternative,
   * what the recipe with the part is worth against it.
   */
  readonly worth: Estimate | null;
}

/** A recipe against others that lack one of its parts and spend its bits elsewhere. */
export interface ComparedRecipe {
  readonly title: string;
  readonly whole: AblationRow;
  readonly alternatives: readonly AblationRow[];
}

/** What the parts of a preset are worth. */
export interface AblationResults {
  readonly preset: string;
  readonly steps: readonly AblationRow[];
  readonly comparisons: readonly ComparedRecipe[];
}

/** What was measured on what, so that another run can be compared. */
export interface Protocol {
  readonly contextLength: number;
  readonly chunks: number;
  readonly scoredTokens: number;
  readonly zeroShotTask: string;
  readonly zeroShotItems: number;
  readonly prefillTokens: number;
  readonly decodeTokens: number;
  readonly speedRounds: number;
  readonly seed: number;
}

export interface BenchmarkResults {
  readonly startedAt: string;
  readonly seconds: number;
  readonly environment: Environment;
  readonly protocol: Protocol;
  readonly rows: readonly ResultRow[];
  readonly ablations: readonly AblationResults[];
  /** What `--all` would have measured besides, in words. */
  readonly skipped: readonly string[];
}
