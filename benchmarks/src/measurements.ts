import { needsCalibration, type Recipe } from '@lbs/quantizer';
import type { BenchmarkModel } from './benchmark-models.js';
import { benchmarkParts } from './benchmark-parts.js';
import type { Estimate, ModelSize } from './benchmark-results.js';
import type { Fidelity } from './jobs.js';
import { type JobsProgress, runJobs, workerCount } from './run-jobs.js';

/** Of the original its perplexity, and the fidelity of each model by its name. */
export interface FidelityResults {
  readonly perplexity: Estimate;
  readonly fidelity: ReadonlyMap<string, Fidelity>;
  readonly contextLength: number;
  readonly scoredTokens: number;
}

type OnProgress = (progress: JobsProgress) => void;

/** Quantizes a model by each of the recipes and writes the results into a folder. */
export function quantizeAll(
  path: string,
  recipes: readonly Recipe[],
  folder: string,
  onProgress: OnProgress,
): Promise<(BenchmarkModel & ModelSize)[]> {
  // What takes long comes first, so that no thread is left alone with it at the end.
  const isLong = (recipe: Recipe) => Number(needsCalibration(recipe, benchmarkParts));
  const ordered = recipes.toSorted((a, b) => isLong(b) - isLong(a));
  return runJobs(
    'quantize',
    ordered.map((recipe) => ({ path, recipe, folder })),
    onProgress,
  );
}

/**
 * Perplexity of the original and of each model, and their KL divergence to the original. Each thread runs the original beside its part
 * of the models.
 */
export async function measureFidelity(
  original: BenchmarkModel,
  models: readonly BenchmarkModel[],
  chunks: number,
  onProgress: OnProgress,
): Promise<FidelityResults> {
  const parts = Array.from({ length: Math.min(workerCount, models.length) }, (_, part) =>
    models.filter((_model, i) => i % workerCount === part),
  );
  const results = await runJobs(
    'compare',
    parts.map((part) => ({ original, models: part, chunks })),
    onProgress,
  );
  const { perplexity, contextLength, scoredTokens } = results[0]!;
  const fidelity = new Map(results.flatMap((result) => result.fidelity));
  return { perplexity, fidelity, contextLength, scoredTokens };
}

/** Zero-shot accuracy of each model, by its name. */
export async function measureZeroShot(
  models: readonly BenchmarkModel[],
  sample: { readonly items: number; readonly seed: number },
  onProgress: OnProgress,
): Promise<Map<string, Estimate>> {
  const accuracies = await runJobs(
    'zeroShot',
    models.map((model) => ({ model, ...sample })),
    onProgress,
  );
  return new Map(models.map(({ format }, i) => [format, accuracies[i]!]));
}
