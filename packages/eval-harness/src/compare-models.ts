import { EvaluationError } from './errors.js';
import type { EvaluatedModel } from './evaluated-model.js';
import { type KlDivergence, KlDivergenceAccumulator, type ScoredRows } from './kl-divergence.js';
import type { LlamaCppChunk } from './llama-cpp-chunks.js';
import { type RowSummary, summarizeRows } from './log-softmax.js';
import { chunkLogits, negativeLogLikelihoods, type Perplexity, perplexityOf } from './perplexity.js';
import { type EvaluatedText, type PerplexityOptions, prepareChunks } from './protocol.js';
import { meanWithStandardError } from './statistics.js';

/** What is compared with what, and on which text. */
export interface CompareModelsOptions<Name extends string = string> extends PerplexityOptions {
  /** The original model; runs once, however many models are compared with it. */
  readonly reference: EvaluatedModel;
  /** The models to compare with it, by name. They must have the reference's vocabulary. */
  readonly models: Readonly<Record<Name, EvaluatedModel>>;
  /** Text, encoded by the reference's tokenizer, or token ids. */
  readonly text: string | readonly number[];
}

/** The reference's perplexity, and each model's with its KL divergence from the reference. */
export interface ModelComparison<Name extends string = string> extends EvaluatedText {
  readonly reference: { readonly perplexity: Perplexity };
  readonly models: Readonly<Record<Name, { readonly perplexity: Perplexity; readonly kld: KlDivergence }>>;
}

/**
 * Perplexity of the reference and of every model, and each model's KL divergence from the reference, in
 * llama.cpp's protocol. All run in lockstep: the reference computes a chunk, then each model computes it and
 * is compared, so no more than the logits of one chunk of the reference and of one model are needed at a
 * time.
 *
 * Throws EvaluationError; when aborted, the signal's reason.
 */
export async function compareModels<Name extends string>(
  options: CompareModelsOptions<Name>,
): Promise<ModelComparison<Name>> {
  const { reference, text, signal, onProgress } = options;
  signal?.throwIfAborted();
  const models = Object.entries<EvaluatedModel>(options.models);
  checkVocabularies(reference, models);
  const { chunks, evaluated } = await prepareChunks(reference, text, {
    ...options,
    contextLength:
      options.contextLength ??
      Math.min(512, ...models.map(([, model]) => model.contextLength), reference.contextLength),
  });
  checkContexts(evaluated.contextLength, models);

  const losses = new Float64Array(evaluated.tokens);
  const accumulators = models.map(() => new KlDivergenceAccumulator(evaluated.tokens));
  let count = 0;
  let sum = 0;
  let referenceSummary: RowSummary | undefined;
  let modelSummary: RowSummary | undefined;
  for (const [index, chunk] of chunks.entries()) {
    const original = await scoreChunk(reference, chunk, signal, referenceSummary);
    referenceSummary = original.summary;
    losses.set(original.losses, count);
    count += original.losses.length;
    for (const [place, [, model]] of models.entries()) {
      const compared = await scoreChunk(model, chunk, signal, modelSummary);
      modelSummary = compared.summary;
      accumulators[place]!.add(original, compared);
    }
    for (const loss of original.losses) sum += loss;
    onProgress?.({
      unit: 'chunks',
      completed: index + 1,
      total: chunks.length,
      value: Math.exp(sum / count),
    });
  }

  const results = models.map(([name], place) => {
    const accumulator = accumulators[place]!;
    const perplexity = perplexityOf(meanWithStandardError(accumulator.losses));
    return [name, { perplexity, kld: accumulator.result() }] as const;
  });
  return {
    ...evaluated,
    reference: { perplexity: perplexityOf(meanWithStandardError(losses)) },
    models: Object.fromEntries(results) as ModelComparison<Name>['models'],
  };
}

async function scoreChunk(
  model: EvaluatedModel,
  chunk: LlamaCppChunk,
  signal: AbortSignal | undefined,
  reuse: RowSummary | undefined,
): Promise<ScoredRows> {
  const logits = await chunkLogits(model, chunk, signal);
  const summary = summarizeRows(logits, model.vocabularySize, reuse);
  return { logits, summary, losses: negativeLogLikelihoods(logits, model.vocabularySize, summary, chunk) };
}

function checkVocabularies(
  reference: EvaluatedModel,
  models: readonly (readonly [string, EvaluatedModel])[],
): void {
  for (const [name, model] of models)
    if (model.vocabularySize !== reference.vocabularySize)
      throw new EvaluationError(
        'LBS_EVAL_VOCABULARY_MISMATCH',
        `Model "${name}" has a vocabulary of ${model.vocabularySize}, the reference one of ${reference.vocabularySize}. ` +
          `KL divergence compares distributions over the same tokens: choose the model that "${name}" was made from.`,
      );
}

function checkContexts(contextLength: number, models: readonly (readonly [string, EvaluatedModel])[]): void {
  for (const [name, model] of models)
    if (contextLength > model.contextLength)
      throw new EvaluationError(
        'LBS_EVAL_CONTEXT_TOO_LONG',
        `Chunks of ${contextLength} tokens do not fit in the context of model "${name}". Use a context of at most ` +
          `${model.contextLength}.`,
      );
}
