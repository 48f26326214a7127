import { compareModels, evaluatePerplexity, evaluateTasks } from '@lbs/eval-harness';
import { InvalidArgumentError } from '@lbs/format';
import type { ActivationPrecision } from '@lbs/kernels';
import type { ModelSource } from '@lbs/model-loaders';
import { type DecoderOptions, type LanguageModel, loadLanguageModel } from '@lbs/runtime';
import { Command, Option } from 'commander';
import { modelArgument, openModelArgument } from '../open-model.js';
import { activationsOption, positiveInteger, withInterrupt } from '../options.js';
import { printResult } from '../print-result.js';
import { ProgressLine } from '../progress-line.js';
import { readTasks } from '../read-tasks.js';
import { readText } from '../read-text.js';

interface EvalOptions {
  readonly reference?: string;
  readonly text?: string;
  readonly context: number;
  readonly chunks?: number;
  readonly tasks?: string;
  readonly taskData: string;
  readonly limit?: number;
  readonly threads: number;
  readonly activations: ActivationPrecision;
  readonly json?: boolean;
}

export function evalCommand(): Command {
  return new Command('eval')
    .description('Measure perplexity, KL divergence to a reference model, or zero-shot tasks.')
    .argument('<model>', modelArgument)
    .option('--text <file>', 'text for perplexity')
    .option('--reference <model>', 'model that the KL divergence is measured to, usually the unquantized one')
    .addOption(
      new Option('--protocol <name>', 'how the text is cut and scored')
        .choices(['llama.cpp'])
        .default('llama.cpp'),
    )
    .option('--context <tokens>', 'tokens of a chunk', positiveInteger, 512)
    .option('--chunks <count>', 'evaluate the first so many chunks', positiveInteger)
    .option('--tasks <list>', 'tasks, with commas between: "piqa", or JSON files that declare a task')
    .option('--task-data <directory>', 'where the data of named tasks lies', '.')
    .option('--limit <count>', 'evaluate the first so many items of each task', positiveInteger)
    .option('--threads <count>', 'threads to compute on', positiveInteger, 1)
    .addOption(activationsOption())
    .option('--json', 'print one JSON object')
    .action((model: string, options: EvalOptions) =>
      withInterrupt((signal) => {
        if (options.text !== undefined && options.tasks === undefined) {
          return evaluateText(model, options.text, options, signal);
        }
        if (options.tasks !== undefined && options.text === undefined) {
          return evaluateTaskList(model, options.tasks, options, signal);
        }
        throw new InvalidArgumentError('eval needs either --text or --tasks', {
          mend: 'Give --text FILE for perplexity, or --tasks LIST for zero-shot tasks.',
        });
      }),
    );
}

async function evaluateText(
  path: string,
  textFile: string,
  options: EvalOptions,
  signal: AbortSignal,
): Promise<void> {
  const text = await readText(textFile);
  const { context: contextLength, chunks, threads, activations } = options;
  await withModels(
    [path, ...(options.reference ? [options.reference] : [])],
    { contextLength, threads, activations, signal },
    async ([model, reference]) => {
      const start = performance.now();
      const progress = new ProgressLine('Evaluating');
      const common = {
        contextLength,
        chunks,
        signal,
        onProgress: ({ completed, total, value }: { completed: number; total: number; value: number }) =>
          progress.update(
            completed / total,
            `${reference ? 'reference ' : ''}perplexity so far ${value.toFixed(4)}`,
          ),
      };
      const compared =
        reference && (await compareModels({ reference, models: { model: model! }, text, ...common }));
      const alone = compared ? undefined : await evaluatePerplexity(model!, text, common);
      progress.end();
      const perplexity = compared ? compared.models.model.perplexity : alone!.perplexity;
      const seconds = (performance.now() - start) / 1000;
      const tokens = (compared ?? alone!).tokens;
      const kld = compared?.models.model.kld;
      const result = {
        perplexity,
        ...(compared && { kld, referencePerplexity: compared.reference.perplexity }),
        tokens,
        seconds,
        protocol: 'llama.cpp',
        context: contextLength,
        chunks: (compared ?? alone!).chunks,
      };
      printResult(result, options.json ?? false, [
        ['Perplexity', `${perplexity.value.toFixed(4)} ± ${perplexity.stderr.toFixed(4)}`],
        ...(kld && compared
          ? ([
              ['Reference perplexity', compared.reference.perplexity.value.toFixed(4)],
              ['KL divergence, mean', `${kld.mean.toFixed(5)} ± ${kld.stderr.toFixed(5)}`],
              ['KL divergence, 99th percentile', kld.p99.toFixed(4)],
              ['Same top token', `${(100 * kld.topAgreement).toFixed(2)} %`],
            ] as const)
          : []),
        ['Scored tokens', `${tokens}, in ${seconds.toFixed(1)} s`],
      ]);
    },
  );
}

async function evaluateTaskList(
  path: string,
  list: string,
  options: EvalOptions,
  signal: AbortSignal,
): Promise<void> {
  const tasks = await readTasks(list.split(','), options.taskData);
  const { threads, activations } = options;
  await withModels([path], { threads, activations, signal }, async ([model]) => {
    const progress = new ProgressLine('Evaluating');
    const results = await evaluateTasks(model!, tasks, {
      modelName: path,
      limit: options.limit,
      signal,
      onProgress: ({ task, completed, total, value }) =>
        progress.update(completed / total, `${task}, accuracy so far ${(100 * value).toFixed(1)} %`),
    });
    progress.end();
    const percent = (value: unknown) =>
      typeof value === 'number' ? `${(100 * value).toFixed(2)} %` : String(value);
    const rows = Object.entries(results.results).flatMap(([task, metrics]) =>
      Object.keys(metrics)
        .filter((key) => key.endsWith(',none') && !key.includes('_stderr'))
        .map((key) => {
          const metric = key.slice(0, -',none'.length);
          return [
            `${task} ${metric}`,
            `${percent(metrics[key])} ± ${percent(metrics[`${metric}_stderr,none`])}`,
          ] as const;
        }),
    );
    printResult(results, options.json ?? false, rows);
  });
}

/** Opens and loads models, and closes them and their files whatever happens. */
async function withModels(
  paths: readonly string[],
  options: DecoderOptions & { readonly signal: AbortSignal },
  use: (models: readonly LanguageModel[]) => Promise<void>,
): Promise<void> {
  const sources: ModelSource[] = [];
  const models: LanguageModel[] = [];
  try {
    for (const path of paths) {
      const source = await openModelArgument(path, options.signal);
      sources.push(source);
      models.push(await loadLanguageModel(source, options));
    }
    await use(models);
  } finally {
    for (const model of models) model.close();
    for (const source of sources) await source.close();
  }
}
