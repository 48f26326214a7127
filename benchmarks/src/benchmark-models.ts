import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { calibrationText } from '@lbs/datasets';
import { serializeQuantizationConfig } from '@lbs/format';
import { createKernels } from '@lbs/kernels';
import { openModel, writeModelDirectory } from '@lbs/model-loaders/node';
import { cutSequences, needsCalibration, presets, quantizeModel } from '@lbs/quantizer';
import { type LanguageModel, loadLanguageModel, openCalibrationModel } from '@lbs/runtime';

/** A model of the table, ready to be measured. */
export interface BenchmarkModel {
  readonly format: string;
  readonly model: LanguageModel;
  readonly bitsPerWeight: number;
  /** Bytes of `model.safetensors` as it lies on the disk. */
  readonly bytes: number;
}

/** Presets of the table, in its order. */
export const benchmarkPresets = [
  'int8',
  'int4-g64',
  'gptq-int4-g64',
  'lbs-4',
  'int3-g64',
  'gptq-int3-g64',
  'lbs-3',
] as const;

/** The unquantized model, computed in float32 whatever type it is stored in. */
export async function loadOriginal(path: string): Promise<BenchmarkModel> {
  const source = await openModel(path);
  try {
    const model = await loadLanguageModel(source);
    return { format: 'FP32', model, bitsPerWeight: 32, bytes: source.fileBytes };
  } finally {
    await source.close();
  }
}

/** Quantizes by a preset, writes the result, and opens what was written. */
export async function quantizeAndReopen(
  path: string,
  preset: string,
  folder: string,
): Promise<BenchmarkModel> {
  const source = await openModel(path);
  const output = join(folder, preset);
  const recipe = presets.get(preset);
  const kernels = await createKernels({ threads: availableParallelism() });
  try {
    const length = source.config.contextLength;
    const calibration = needsCalibration(recipe)
      ? {
          model: await openCalibrationModel(source, { kernels, contextLength: length }),
          sequences: cutSequences(source.tokenizer.encode(await readFile(calibrationText, 'utf8')), {
            length,
          }),
        }
      : undefined;
    const { tensors, config, bitsPerWeight } = await quantizeModel(source, recipe, { kernels, calibration });
    const configJson = { ...source.configJson, quantization_config: serializeQuantizationConfig(config) };
    const bytes = await writeModelDirectory(output, {
      config: configJson,
      tensors,
      tokenizerFiles: source.tokenizerFiles,
    });
    const written = await openModel(output);
    try {
      return { format: preset, model: await loadLanguageModel(written), bitsPerWeight, bytes };
    } finally {
      await written.close();
    }
  } finally {
    kernels.close();
    await source.close();
  }
}
