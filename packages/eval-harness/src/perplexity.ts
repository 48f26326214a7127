import type { EvaluatedModel } from './evaluated-model.js';
import type { LlamaCppChunk } from './llama-cpp-chunks.js';
import { type RowSummary, summarizeRows } from './log-softmax.js';
import { requestLogits } from './model-calls.js';
import { type EvaluatedText, type PerplexityOptions, prepareChunks } from './protocol.js';
import { type Estimate, meanWithStandardError } from './statistics.js';

/**
 * Perplexity: exp of the mean negative log-likelihood; the standard error is that of the mean times the
 * value.
 */
export type Perplexity = Estimate;

/** Perplexity, and the text and protocol that it belongs to. */
export interface PerplexityResult extends EvaluatedText {
  readonly perplexity: Perplexity;
  /** Mean negative log-likelihood in nats a token. */
  readonly negativeLogLikelihood: Estimate;
}

/**
 * Perplexity of a model on a text (or on token ids) in llama.cpp's protocol; see llamaCppChunks for what is
 * scored. Only the scored positions go through the model's output head.
 *
 * Throws EvaluationError; when aborted, the signal's reason.
 */
export async function evaluatePerplexity(
  model: EvaluatedModel,
  text: string | readonly number[],
  options: PerplexityOptions = {},
): Promise<PerplexityResult> {
  const { signal, onProgress } = options;
  signal?.throwIfAborted();
  const { chunks, evaluated } = await prepareChunks(model, text, options);
  const losses = new Float64Array(evaluated.tokens);
  let count = 0;
  let sum = 0;
  let summary: RowSummary | undefined;
  for (const [index, chunk] of chunks.entries()) {
    const logits = await chunkLogits(model, chunk, signal);
    summary = summarizeRows(logits, model.vocabularySize, summary);
    const chunkLosses = negativeLogLikelihoods(logits, model.vocabularySize, summary, chunk);
    losses.set(chunkLosses, count);
    count += chunkLosses.length;
    for (const loss of chunkLosses) sum += loss;
    onProgress?.({
      unit: 'chunks',
      completed: index + 1,
      total: chunks.length,
      value: Math.exp(sum / count),
    });
  }
  const negativeLogLikelihood = meanWithStandardError(losses);
  return { ...evaluated, perplexity: perplexityOf(negativeLogLikelihood), negativeLogLikelihood };
}

/**
 * Logits of the scored positions of a chunk. Its last token is only ever a target, so the model is not given
 * it.
 */
export function chunkLogits(
  model: EvaluatedModel,
  chunk: LlamaCppChunk,
  signal: AbortSignal | undefined,
): Promise<Float32Array> {
  return requestLogits(model, chunk.tokens.slice(0, -1), chunk.first, signal);
}

/** Negative log-likelihood of every scored token of a chunk, in nats. */
export function negativeLogLikelihoods(
  logits: Float32Array,
  vocabularySize: number,
  summary: RowSummary,
  chunk: LlamaCppChunk,
): Float64Array {
  return summary.logSumExp.map((logSumExp, row) => {
    const target = chunk.tokens[chunk.first + row + 1]!;
    return logSumExp - logits[row * vocabularySize + target]!;
  });
}

export function perplexityOf(negativeLogLikelihood: Estimate): Perplexity {
  const value = Math.exp(negativeLogLikelihood.value);
  return { value, stderr: value * negativeLogLikelihood.stderr };
}
