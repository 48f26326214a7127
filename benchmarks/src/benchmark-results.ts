import type { Environment } from './environment.js';

/** A measured value and its standard error. */
export interface Estimate {
  readonly value: number;
  readonly stderr: number;
}

/** Tokens per second: the median of the samples and their quartiles. */
export interface Speed {
  readonly median: number;
  readonly lowerQuartile: number;
  readonly upperQuartile: number;
  readonly samples: number;
}

/** One line of the table. */
export interface ResultRow {
  readonly model: string;
  readonly format: string;
  /** Over the quantized matrices, from the bytes written: codes, shared bits, scales, salient weights, shapes. */
  readonly bitsPerWeight: number;
  /** Of `model.safetensors`, with the embeddings and norms that stay as they were. */
  readonly bytes: number;
  readonly perplexity: Estimate;
  /** To the float32 model; null for that model itself. */
  readonly kld: (Estimate & { readonly p99: number; readonly topAgreement: number }) | null;
  /** Share of the zero-shot items answered right. */
  readonly accuracy: Estimate;
  readonly prefillTokensPerSecond: Speed;
  readonly decodeTokensPerSecond: Speed;
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
}
