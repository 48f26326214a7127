import { EvaluationError } from './errors.js';
import type { EvaluatedModel, EvaluationProgress } from './evaluated-model.js';
import { evaluateGeneration } from './generation.js';
import { hashText } from './hashes.js';
import type { LmEvalResults, TaskConfig, TaskMetrics } from './lm-eval-results.js';
import { evaluateMultipleChoice, type TaskOptions } from './multiple-choice.js';
import type { Estimate } from './statistics.js';
import type { Task } from './task.js';

/** How far the task has come that is being evaluated. */
export interface TaskProgress extends EvaluationProgress {
  readonly task: string;
}

/** Options of an evaluation of several tasks. */
export interface EvaluateTasksOptions extends Omit<TaskOptions, 'onProgress'> {
  /** What the results call the model: a hub id or a path. */
  readonly modelName?: string | undefined;
  /** What else tells this evaluation from others (format, threads); goes to `config.model_args`. */
  readonly modelArguments?: Readonly<Record<string, unknown>> | undefined;
  readonly onProgress?: ((progress: TaskProgress) => void) | undefined;
}

/**
 * Evaluates tasks one after another and reports in lm-eval's results schema, which its viewers read.
 *
 * Throws EvaluationError; when aborted, the signal's reason.
 */
export async function evaluateTasks(
  model: EvaluatedModel,
  tasks: readonly Task[],
  options: EvaluateTasksOptions = {},
): Promise<LmEvalResults> {
  checkNames(tasks);
  const date = Date.now() / 1000;
  const start = performance.now();
  const modelName = options.modelName ?? '';
  const results: Record<string, TaskMetrics> = {};
  const hashes: Record<string, string> = {};
  const samples: Record<string, { original: number; effective: number }> = {};
  for (const task of tasks) {
    const metrics = await evaluateTask(model, task, options);
    const effective = Math.min(task.items.length, options.limit ?? Infinity);
    results[task.task] = taskMetrics(task.task, effective, metrics);
    samples[task.task] = { original: task.items.length, effective };
    const hash = await hashText(JSON.stringify(task.items));
    if (hash) hashes[task.task] = hash;
  }
  const perTask = <Value>(value: (task: Task) => Value): Record<string, Value> =>
    Object.fromEntries(tasks.map((task) => [task.task, value(task)]));
  return {
    results,
    group_subtasks: perTask(() => []),
    configs: perTask(taskConfig),
    versions: perTask((task) => task.version),
    'n-shot': perTask(() => 0),
    higher_is_better: perTask((task) => Object.fromEntries(metricNames(task).map((name) => [name, true]))),
    'n-samples': samples,
    config: {
      model: 'lbs',
      model_args: { ...options.modelArguments },
      limit: options.limit ?? null,
      bootstrap_iters: 0,
    },
    date,
    task_hashes: hashes,
    max_length: model.contextLength,
    model_name: modelName,
    model_name_sanitized: modelName.replaceAll(/["<>:/|\\?*[\]]+/g, '__'),
    total_evaluation_time_seconds: String((performance.now() - start) / 1000),
  };
}

async function evaluateTask(
  model: EvaluatedModel,
  task: Task,
  { limit, signal, onProgress }: EvaluateTasksOptions,
): Promise<Record<string, Estimate>> {
  const options: TaskOptions = {
    limit,
    signal,
    onProgress: onProgress && ((progress) => onProgress({ ...progress, task: task.task })),
  };
  if (task.kind === 'generate_until')
    return { exact_match: (await evaluateGeneration(model, task, options)).exactMatch };
  const { accuracy, accuracyNormalized } = await evaluateMultipleChoice(model, task, options);
  return { acc: accuracy, acc_norm: accuracyNormalized };
}

function taskMetrics(name: string, items: number, metrics: Record<string, Estimate>): TaskMetrics {
  const values: Record<string, number | string> = { name, alias: name, sample_len: items };
  for (const [metric, { value, stderr }] of Object.entries(metrics)) {
    values[`${metric},none`] = value;
    values[`${metric}_stderr,none`] = Number.isNaN(stderr) ? 'N/A' : stderr;
  }
  return values;
}

function metricNames(task: Task): string[] {
  return task.kind === 'generate_until' ? ['exact_match'] : ['acc', 'acc_norm'];
}

function taskConfig(task: Task): TaskConfig {
  return {
    task: task.task,
    output_type: task.kind,
    description: task.description,
    num_fewshot: 0,
    metric_list: metricNames(task).map((metric) => ({ metric, aggregation: 'mean', higher_is_better: true })),
    ...(task.kind === 'generate_until'
      ? { generation_kwargs: { until: task.until, max_gen_toks: task.maximumTokens } }
      : { target_delimiter: task.targetDelimiter }),
    metadata: { version: task.version },
  };
}

function checkNames(tasks: readonly Task[]): void {
  const names = tasks.map((task) => task.task);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined)
    throw new EvaluationError(
      'LBS_EVAL_INVALID_OPTION',
      `Task "${twice}" is given twice. Give every task once.`,
    );
}
