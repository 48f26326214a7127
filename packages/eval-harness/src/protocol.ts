import { EvaluationError } from './errors.js';
import type { EvaluatedModel, EvaluationOptions } from './evaluated-model.js';
import { hashTokens } from './hashes.js';
import { type LlamaCppChunk, llamaCppChunks, scoredPositions } from './llama-cpp-chunks.js';
import { checkTokens } from './model-calls.js';

/** How a text is cut into chunks, and how many count. */
export interface PerplexityOptions extends EvaluationOptions {
  /** Tokens of a chunk; llama.cpp's default is 512. At most the model's context. */
  readonly contextLength?: number | undefined;
  /** Evaluate the first so many chunks only. */
  readonly chunks?: number | undefined;
}

/** What was evaluated: two results may be compared when all of it is equal. */
export interface EvaluatedText {
  readonly protocol: 'llama.cpp';
  readonly contextLength: number;
  readonly chunks: number;
  /** Scored tokens: chunks * (contextLength - floor(contextLength / 2) - 1). */
  readonly tokens: number;
  /** SHA-256 of the evaluated token ids (little-endian 32-bit), where the platform can compute it. */
  readonly tokensSha256?: string;
}

/** The chunks of a text for a model, and their description. Throws EvaluationError as llamaCppChunks does. */
export async function prepareChunks(
  model: EvaluatedModel,
  text: string | readonly number[],
  options: PerplexityOptions,
): Promise<{ chunks: LlamaCppChunk[]; evaluated: EvaluatedText }> {
  const contextLength = options.contextLength ?? Math.min(512, model.contextLength);
  if (contextLength > model.contextLength)
    throw new EvaluationError(
      'LBS_EVAL_CONTEXT_TOO_LONG',
      `Chunks of ${contextLength} tokens do not fit in the model's context. Use a context of at most ${model.contextLength}.`,
    );
  const tokens = typeof text !== 'string' ? text : text === '' ? [] : model.encode(text);
  const chunks = llamaCppChunks(tokens, {
    contextLength,
    chunks: options.chunks,
    beginningOfSequence: model.addsBeginningOfSequence ? model.beginningOfSequence : undefined,
  });
  const used = chunks.flatMap((chunk) => chunk.tokens);
  checkTokens(used, model.vocabularySize);
  const tokensSha256 = await hashTokens(used);
  const evaluated = {
    protocol: 'llama.cpp',
    contextLength,
    chunks: chunks.length,
    tokens: chunks.length * scoredPositions(contextLength),
    ...(tokensSha256 && { tokensSha256 }),
  } as const;
  return { chunks, evaluated };
}
