import { EvaluationError } from './errors.js';
import type { EvaluatedModel } from './evaluated-model.js';
import { limitItems, type TaskOptions } from './multiple-choice.js';
import { type Estimate, shareWithStandardError } from './statistics.js';
import type { GenerationTask } from './task.js';

/** What the model wrote for one item. */
export interface GenerationSample {
  readonly answers: readonly string[];
  /** What the model wrote, without white space around it. */
  readonly response: string;
  readonly correct: boolean;
}

/** The figure of a generation task, and what it is made of. */
export interface GenerationResult {
  readonly items: number;
  /** Share of items whose response equals one of the answers. */
  readonly exactMatch: Estimate;
  readonly samples: readonly GenerationSample[];
}

/**
 * Exact match of greedy continuations, as lm-eval's output_type generate_until.
 *
 * Throws EvaluationError, LBS_EVAL_UNSUPPORTED_TASK when the model has no `generate`; when aborted, the
 * signal's reason.
 */
export async function evaluateGeneration(
  model: EvaluatedModel,
  task: GenerationTask,
  options: TaskOptions = {},
): Promise<GenerationResult> {
  const { signal, onProgress } = options;
  if (!model.generate)
    throw new EvaluationError(
      'LBS_EVAL_UNSUPPORTED_TASK',
      `Task ${task.task} needs a model that generates text. Give the model's adapter a generate method.`,
    );
  const items = limitItems(task.items, options.limit);
  const samples: GenerationSample[] = [];
  let correct = 0;
  for (const { context, answers } of items) {
    signal?.throwIfAborted();
    const options = { stop: task.until, maxTokens: task.maximumTokens, signal };
    const response = (await model.generate(model.encode(context), options)).text.trim();
    const matches = answers.includes(response);
    if (matches) correct++;
    samples.push({ answers, response, correct: matches });
    const completed = samples.length;
    onProgress?.({ unit: 'items', completed, total: items.length, value: correct / completed });
  }
  return { items: items.length, exactMatch: shareWithStandardError(correct, items.length), samples };
}
