import { join } from 'node:path';
import { serializeQuantizationConfig } from '@lbs/format';
import { openModel, writeModelDirectory } from '@lbs/model-loaders/node';
import { presets, quantizeModel } from '@lbs/quantizer';
import { type LanguageModel, loadLanguageModel } from '@lbs/runtime';

/** A model of the table, ready to be measured. */
export interface BenchmarkModel {
  readonly format: string;
  readonly model: LanguageModel;
  readonly bitsPerWeight: number;
  /** Bytes of `model.safetensors` as it lies on the disk. */
  readonly bytes: number;
}

/** Presets of the table, in its order. */
export const benchmarkPresets = ['int8', 'int4-g64', 'lbs-4', 'int3-g64', 'lbs-3'] as const;

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
  try {
    const { tensors, config, bitsPerWeight } = await quantizeModel(source, presets.get(preset));
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
    await source.close();
  }
}
