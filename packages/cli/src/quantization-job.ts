import { type Provenance, serializeQuantizationConfig } from '@lbs/format';
import type { Kernels } from '@lbs/kernels';
import type { ModelSource } from '@lbs/model-loaders';
import { type JobIdentity, openJobDirectory } from '@lbs/model-loaders/node';
import { type Calibration, type QuantizationProgress, quantizeModel, type Recipe } from '@lbs/quantizer';
import { ProgressLine } from './progress-line.js';

/** What is quantized, how, and where to. */
export interface QuantizationJob {
  readonly source: ModelSource;
  readonly recipe: Recipe;
  readonly kernels: Kernels;
  readonly calibration: Calibration | undefined;
  /** What an earlier run must have had in common for its work to be used. */
  readonly identity: JobIdentity;
  readonly provenance: Provenance;
  readonly output: string;
  /** Whether the output may be replaced. */
  readonly replace: boolean;
  readonly maxShardBytes: number;
  readonly signal: AbortSignal;
}

/** What a job tells of its result. */
export interface QuantizationSummary {
  readonly bitsPerWeight: number;
  /** Quantized matrices. */
  readonly tensors: number;
  /** Of all weight files. */
  readonly bytes: number;
}

/** Quantizes a model, or goes on where an earlier run stopped, and puts the result in its place; shows on standard error how far it is. */
export async function runQuantizationJob(job: QuantizationJob): Promise<QuantizationSummary> {
  const { source, recipe, kernels, calibration, provenance, output, replace, maxShardBytes, signal } = job;
  const directory = await openJobDirectory(output, job.identity, { replace });
  const quantizing = new ProgressLine('Quantizing');
  if (directory.discarded) {
    quantizing.note(
      `lbs: ${directory.path} held an unfinished job with another ${directory.discarded.join(', ')}: it was deleted, and the job starts anew. To keep both, give each an output of its own.`,
    );
  }
  try {
    if (directory.completed) {
      await directory.remove();
      return directory.completed as unknown as QuantizationSummary;
    }
    const model = await quantizeModel(source, recipe, {
      kernels,
      calibration,
      storage: directory,
      signal,
      onProgress: (progress) => show(quantizing, progress),
    });
    quantizing.end();
    const { bitsPerWeight, matrices: tensors } = model;
    const quantization = serializeQuantizationConfig({ ...model.config, provenance });
    const config = { ...source.configJson, quantization_config: quantization };
    const writing = new ProgressLine('Writing');
    const bytes = await directory.finish(
      { config, tensors: model.tensors, tokenizerFiles: source.tokenizerFiles },
      {
        signal,
        maxShardBytes,
        summary: { bitsPerWeight, tensors },
        onProgress: ({ bytesWritten, bytesTotal, tensor }) =>
          writing.update(bytesWritten / bytesTotal, tensor),
      },
    );
    writing.end();
    return { bitsPerWeight, tensors, bytes };
  } catch (error) {
    if (await directory.close()) {
      quantizing.note(
        `lbs: what is finished stays in ${directory.path}; the same command goes on from there`,
      );
    }
    throw error;
  }
}

function show(line: ProgressLine, progress: QuantizationProgress): void {
  const { stage, block, blocks, tensor, relativeError, weightsDone, weightsTotal, secondsLeft } = progress;
  if (stage === 'preparing') {
    line.update(0, `measuring sensitivities, ${(100 * progress.prepared!).toFixed(0)} % done`, null);
    return;
  }
  const share = weightsDone / weightsTotal;
  const place = block === undefined || block === blocks ? undefined : `block ${block + 1} of ${blocks}`;
  if (stage === 'resuming') {
    line.note(
      `lbs: resuming at ${place ?? 'what is left'}; ${(100 * share).toFixed(0)} % of the weights are done`,
    );
    return;
  }
  const work =
    relativeError === undefined
      ? 'measuring activations'
      : `${tensor}, error ${(10 * Math.log10(relativeError)).toFixed(1)} dB`;
  line.update(share, place ? `${place}, ${work}` : work, secondsLeft ?? null);
}
