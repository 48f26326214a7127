import { EvaluationError } from './errors.js';

/** How llama.cpp's perplexity tool cuts a text. */
export interface LlamaCppChunkOptions {
  /** Tokens of a chunk (llama.cpp's n_ctx). */
  readonly contextLength: number;
  /** Evaluate the first so many chunks; all by default. More than there are means all. */
  readonly chunks?: number | undefined;
  /** Replaces the first token of every chunk; pass it when the tokenizer adds it to texts. */
  readonly beginningOfSequence?: number | undefined;
}

/** A chunk of the text, and which of its positions count. */
export interface LlamaCppChunk {
  /** contextLength tokens. */
  readonly tokens: readonly number[];
  /**
   * First scored position, floor(contextLength / 2). The logits at position i are scored by token i + 1; the
   * last scored position is contextLength - 2.
   */
  readonly first: number;
}

/** Positions that one chunk scores: n - floor(n / 2) - 1. */
export function scoredPositions(contextLength: number): number {
  return contextLength - Math.floor(contextLength / 2) - 1;
}

/**
 * Cuts a text into chunks as llama.cpp's perplexity tool does (tools/perplexity/perplexity.cpp): not
 * overlapping, in order, the rest at the end left out, only the second half of each scored, so that every
 * scored token has at least half a context before it.
 *
 * Throws EvaluationError on an empty text, on fewer than 2 * contextLength tokens, and on a contextLength
 * that scores nothing.
 */
export function llamaCppChunks(tokens: readonly number[], options: LlamaCppChunkOptions): LlamaCppChunk[] {
  const { contextLength, beginningOfSequence } = options;
  requireWhole('contextLength', contextLength, 3);
  if (options.chunks !== undefined) requireWhole('chunks', options.chunks, 1);
  const needed = 2 * contextLength;
  const need = `Perplexity with a context of ${contextLength} needs at least ${needed} tokens`;
  if (tokens.length === 0)
    throw new EvaluationError(
      'LBS_EVAL_EMPTY_TEXT',
      `The text is empty: 0 tokens. ${need}. Choose another text.`,
    );
  if (tokens.length < needed)
    throw new EvaluationError(
      'LBS_EVAL_TEXT_TOO_SHORT',
      `${need}, the text has ${tokens.length}. Use a longer text or a context of at most ${Math.floor(tokens.length / 2)}.`,
    );
  const count = Math.min(options.chunks ?? Infinity, Math.floor(tokens.length / contextLength));
  const first = Math.floor(contextLength / 2);
  return Array.from({ length: count }, (_, index) => {
    const chunk = tokens.slice(index * contextLength, (index + 1) * contextLength);
    if (beginningOfSequence !== undefined) chunk[0] = beginningOfSequence;
    return { tokens: chunk, first };
  });
}

function requireWhole(name: string, value: number, least: number): void {
  if (!Number.isInteger(value) || value < least)
    throw new EvaluationError(
      'LBS_EVAL_INVALID_OPTION',
      `${name} is ${value}; it must be a whole number of at least ${least}.`,
    );
}
