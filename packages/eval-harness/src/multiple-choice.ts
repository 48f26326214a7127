import { encodePair } from './encode-pair.js';
import { EvaluationError } from './errors.js';
import type { EvaluatedModel, EvaluationOptions } from './evaluated-model.js';
import { summarizeRows } from './log-softmax.js';
import { checkTokens, requestContinuations, requestLogits } from './model-calls.js';
import { type Estimate, indexOfMaximum, shareWithStandardError } from './statistics.js';
import type { MultipleChoiceItem, MultipleChoiceTask } from './task.js';

/** Options of the evaluation of one task. */
export interface TaskOptions extends EvaluationOptions {
  /** Evaluate the first so many items only. */
  readonly limit?: number | undefined;
}

/** How the model scored one item. */
export interface MultipleChoiceSample {
  readonly gold: number;
  /** Sum of the log-probabilities of each choice's tokens after the context, nats. */
  readonly logLikelihoods: readonly number[];
  /** The choice with the largest sum, and with the largest sum per character; the first of equals. */
  readonly prediction: number;
  readonly predictionNormalized: number;
}

/** The figures of a multiple-choice task, and what they are made of. */
export interface MultipleChoiceResult {
  readonly items: number;
  /** Share of items whose right choice has the largest log-likelihood. */
  readonly accuracy: Estimate;
  /** The same with log-likelihoods divided by the choice's characters (lm-eval's acc_norm). */
  readonly accuracyNormalized: Estimate;
  /** Items whose context was cut at its beginning to fit in the model's. */
  readonly truncatedItems: number;
  readonly samples: readonly MultipleChoiceSample[];
}

/**
 * Zero-shot accuracy by likelihood, as lm-eval's output_type multiple_choice. The choices of an item are
 * scored one after another, so that a model with a key-value cache computes their common context once.
 *
 * Throws EvaluationError; when aborted, the signal's reason.
 */
export async function evaluateMultipleChoice(
  model: EvaluatedModel,
  task: MultipleChoiceTask,
  options: TaskOptions = {},
): Promise<MultipleChoiceResult> {
  const { signal, onProgress } = options;
  signal?.throwIfAborted();
  const items = limitItems(task.items, options.limit);
  const samples: MultipleChoiceSample[] = [];
  let correct = 0;
  let correctNormalized = 0;
  let truncatedItems = 0;
  for (const item of items) {
    const { logLikelihoods, truncated } = await scoreChoices(model, task, item, signal);
    const prediction = indexOfMaximum(logLikelihoods);
    const predictionNormalized = indexOfMaximum(
      logLikelihoods.map((value, index) => value / characters(item.choices[index]!)),
    );
    samples.push({ gold: item.gold, logLikelihoods, prediction, predictionNormalized });
    if (prediction === item.gold) correct++;
    if (predictionNormalized === item.gold) correctNormalized++;
    if (truncated) truncatedItems++;
    const completed = samples.length;
    onProgress?.({ unit: 'items', completed, total: items.length, value: correct / completed });
  }
  return {
    items: items.length,
    accuracy: shareWithStandardError(correct, items.length),
    accuracyNormalized: shareWithStandardError(correctNormalized, items.length),
    truncatedItems,
    samples,
  };
}

/**
 * The first `limit` items. Throws EvaluationError LBS_EVAL_INVALID_OPTION unless limit is a whole number
 * above 0.
 */
export function limitItems<Item>(items: readonly Item[], limit: number | undefined): readonly Item[] {
  if (limit !== undefined && (!Number.isInteger(limit) || limit < 1))
    throw new EvaluationError(
      'LBS_EVAL_INVALID_OPTION',
      `limit is ${limit}; it must be a whole number of at least 1.`,
    );
  return items.slice(0, limit);
}

async function scoreChoices(
  model: EvaluatedModel,
  task: MultipleChoiceTask,
  item: MultipleChoiceItem,
  signal: AbortSignal | undefined,
): Promise<{ logLikelihoods: number[]; truncated: boolean }> {
  const pairs = item.choices.map((choice) => encodeChoice(model, task, item.context, choice));
  const fits = pairs.every(({ whole }) => whole.length - 1 <= model.contextLength);
  const logits =
    model.continuations && fits
      ? await scoreTogether(model, pairs, signal)
      : await scoreEach(model, pairs, signal);
  return {
    logLikelihoods: pairs.map(({ continuation }, i) =>
      logLikelihood(logits[i]!, continuation, model.vocabularySize),
    ),
    truncated: !fits,
  };
}

/** A choice behind its context. */
interface EncodedChoice {
  readonly whole: readonly number[];
  readonly continuation: readonly number[];
}

/** Throws EvaluationError for a choice that adds no token, and for one that does not fit the context of the model. */
function encodeChoice(
  model: EvaluatedModel,
  task: MultipleChoiceTask,
  itemContext: string,
  choice: string,
): EncodedChoice {
  const { context, continuation } = encodePair(model, itemContext, task.targetDelimiter + choice);
  if (continuation.length === 0)
    throw new EvaluationError(
      'LBS_EVAL_EMPTY_TEXT',
      `The choice "${choice}" of ${task.task} adds no token to its context. Mend the item or the tokenizer.`,
    );
  if (continuation.length > model.contextLength)
    throw new EvaluationError(
      'LBS_EVAL_CONTEXT_TOO_LONG',
      `A choice of ${task.task} has ${continuation.length} tokens, the model's context holds ${model.contextLength}. ` +
        `Choose a model with a longer context.`,
    );
  const whole = [...context, ...continuation];
  checkTokens(whole, model.vocabularySize);
  return { whole, continuation };
}

/** Logits before each token of every choice, one call for each. */
async function scoreEach(
  model: EvaluatedModel,
  choices: readonly EncodedChoice[],
  signal: AbortSignal | undefined,
): Promise<readonly Float32Array[]> {
  const logits: Float32Array[] = [];
  for (const { whole, continuation } of choices) {
    // The last token is only a target; what does not fit is cut from the context's beginning, as in lm-eval.
    const input = whole.slice(0, -1).slice(-model.contextLength);
    // A copy: the next call may overwrite it.
    logits.push((await requestLogits(model, input, input.length - continuation.length, signal)).slice());
  }
  return logits;
}

/** The same in one call, for which what the choices have in common is the context. */
async function scoreTogether(
  model: EvaluatedModel,
  choices: readonly EncodedChoice[],
  signal: AbortSignal | undefined,
): Promise<readonly Float32Array[]> {
  const [{ whole: first }] = choices as [EncodedChoice];
  const most = Math.min(...choices.map(({ whole, continuation }) => whole.length - continuation.length));
  let shared = 0;
  while (shared < most && choices.every(({ whole }) => whole[shared] === first[shared])) shared++;
  if (shared === 0) return scoreEach(model, choices, signal);
  const branches = choices.map(({ whole }) => whole.slice(shared));
  const logits = await requestContinuations(model, first.slice(0, shared), branches, signal);
  return choices.map(({ continuation }, i) =>
    logits[i]!.subarray((branches[i]!.length - continuation.length) * model.vocabularySize),
  );
}

/**
 * Sum of the log-probabilities of `tokens`, the logits [tokens.length, vocabularySize] being those before
 * each.
 */
function logLikelihood(logits: Float32Array, tokens: readonly number[], vocabularySize: number): number {
  const { logSumExp } = summarizeRows(logits, vocabularySize);
  return tokens.reduce((sum, token, row) => sum + logits[row * vocabularySize + token]! - logSumExp[row]!, 0);
}

/** Code points, which is what Python's len counts. */
function characters(text: string): number {
  return [...text].length;
}
