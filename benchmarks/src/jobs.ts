import { readFile } from 'node:fs/promises';
import { continuationTask, continuationTaskItems, heldOutText } from '@lbs/datasets';
import {
  compareModels,
  evaluateMultipleChoice,
  type MultipleChoiceTask,
  parseMultipleChoiceTask,
} from '@lbs/eval-harness';
import type { Recipe } from '@lbs/quantizer';
import { type BenchmarkModel, loadModel, quantizeAndWrite } from './benchmark-models.js';
import type { Estimate, KlDivergence } from './benchmark-results.js';
import { sampleItems } from './sample-items.js';

/** Says how far a job is, from 0 to 1. */
export type Report = (share: number) => void;

/** Perplexity of a quantized model, and its KL divergence to the original. */
export interface Fidelity {
  readonly perplexity: Estimate;
  readonly kld: KlDivergence;
}

interface QuantizationTask {
  readonly path: string;
  readonly recipe: Recipe;
  readonly folder: string;
}

interface ComparisonTask {
  readonly original: BenchmarkModel;
  readonly models: readonly BenchmarkModel[];
  readonly chunks: number;
}

interface ZeroShotTask {
  readonly model: BenchmarkModel;
  readonly items: number;
  readonly seed: number;
}

/** What a worker thread can be asked for. Tasks and results are plain data. */
export const jobs = {
  quantize: ({ path, recipe, folder }: QuantizationTask, report: Report) =>
    quantizeAndWrite(path, recipe, folder, report),

  async compare({ original, models, chunks }: ComparisonTask, report: Report) {
    const reference = await loadModel(original.path);
    const loaded = await Promise.all(
      models.map(async ({ format, path }) => [format, await loadModel(path)] as const),
    );
    const { contextLength } = reference;
    const comparison = await compareModels({
      reference,
      models: Object.fromEntries(loaded),
      text: await readFile(heldOutText, 'utf8'),
      contextLength,
      chunks,
      onProgress: ({ completed, total }) => report(completed / total),
    });
    const fidelity = Object.entries(comparison.models).map(([format, { perplexity, kld }]) => {
      const { mean: value, stderr, p99, topAgreement } = kld;
      return [format, { perplexity, kld: { value, stderr, p99, topAgreement } }] as const;
    });
    return {
      perplexity: comparison.reference.perplexity,
      fidelity,
      contextLength,
      scoredTokens: comparison.tokens,
    };
  },

  async zeroShot({ model, items, seed }: ZeroShotTask, report: Report): Promise<Estimate> {
    const task = await readTask();
    const sampled = { ...task, items: sampleItems(task.items, items, seed) };
    const { accuracy } = await evaluateMultipleChoice(await loadModel(model.path), sampled, {
      onProgress: ({ completed, total }) => report(completed / total),
    });
    return accuracy;
  },
};

/** The zero-shot task that comes with the project. */
export async function readTask(): Promise<MultipleChoiceTask> {
  return parseMultipleChoiceTask(
    await readFile(continuationTask, 'utf8'),
    await readFile(continuationTaskItems, 'utf8'),
  );
}

export type JobName = keyof typeof jobs;
export type JobTask<Name extends JobName> = Parameters<(typeof jobs)[Name]>[0];
export type JobResult<Name extends JobName> = Awaited<ReturnType<(typeof jobs)[Name]>>;
