import { compareModels, evaluateMultipleChoice, type MultipleChoiceTask } from '@lbs/eval-harness';
import type { BenchmarkModel } from './benchmark-models.js';
import type { ResultRow } from './benchmark-results.js';

export interface QualityOptions {
  readonly text: readonly number[];
  readonly contextLength: number;
  readonly chunks: number;
  readonly task: MultipleChoiceTask;
  readonly onProgress: (share: number, detail: string) => void;
}

export type Quality = Pick<ResultRow, 'perplexity' | 'kld' | 'accuracy'>;

/** Perplexity, KL divergence to the original and zero-shot accuracy of the original and of each quantized model. */
export async function measureQuality(
  original: BenchmarkModel,
  quantized: readonly BenchmarkModel[],
  { text, contextLength, chunks, task, onProgress }: QualityOptions,
): Promise<{ rows: Map<string, Quality>; scoredTokens: number }> {
  const all = [original, ...quantized];
  // Chunks and items are weighed by the tokens that they take through the models.
  const shareOfText = 0.5;
  const comparison = await compareModels({
    reference: original.model,
    models: Object.fromEntries(quantized.map(({ format, model }) => [format, model])),
    text,
    contextLength,
    chunks,
    onProgress: ({ completed, total }) =>
      onProgress((shareOfText * completed) / total, `perplexity, chunk ${completed}`),
  });
  const rows = new Map<string, Quality>();
  for (const [place, { format, model }] of all.entries()) {
    const { accuracy } = await evaluateMultipleChoice(model, task, {
      onProgress: ({ completed, total }) =>
        onProgress(
          shareOfText + ((1 - shareOfText) * (place + completed / total)) / all.length,
          `zero-shot, ${format}`,
        ),
    });
    const compared = comparison.models[format];
    const kld = compared && {
      value: compared.kld.mean,
      stderr: compared.kld.stderr,
      p99: compared.kld.p99,
      topAgreement: compared.kld.topAgreement,
    };
    rows.set(format, {
      perplexity: (compared ?? comparison.reference).perplexity,
      kld: kld ?? null,
      accuracy,
    });
  }
  return { rows, scoredTokens: comparison.tokens };
}
