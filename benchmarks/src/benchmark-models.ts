import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { calibrationText } from '@lbs/datasets';
import { safetensorsByteLength, serializeQuantizationConfig, storedSuffixes } from '@lbs/format';
import { createKernels } from '@lbs/kernels';
import { openModel, writeModelDirectory } from '@lbs/model-loaders/node';
import { cutSequences, type LazyTensor, needsCalibration, quantizeModel, type Recipe } from '@lbs/quantizer';
import { type LanguageModel, loadLanguageModel, openCalibrationModel } from '@lbs/runtime';
import { benchmarkParts } from './benchmark-parts.js';
import type { ModelSize } from './benchmark-results.js';

/** A model directory, by the name that tables show. */
export interface BenchmarkModel {
  readonly format: string;
  readonly path: string;
}

/** The unquantized model, computed in float32 whatever type it is stored in. */
export async function sizeOfOriginal(path: string): Promise<ModelSize> {
  const source = await openModel(path);
  try {
    return { bitsPerWeight: 32, salientBitsPerWeight: 0, bytes: source.fileBytes };
  } finally {
    await source.close();
  }
}

/** Opens a model that is on the disk; it runs on one thread. */
export async function loadModel(path: string): Promise<LanguageModel> {
  const source = await openModel(path);
  try {
    return await loadLanguageModel(source);
  } finally {
    await source.close();
  }
}

/** Quantizes by a recipe, on one thread, and writes the result into the folder, under the recipe's name. */
export async function quantizeAndWrite(
  path: string,
  recipe: Recipe,
  folder: string,
  onProgress: (share: number) => void,
): Promise<BenchmarkModel & ModelSize> {
  const source = await openModel(path);
  const output = join(folder, recipe.name);
  const kernels = await createKernels();
  try {
    const length = source.config.contextLength;
    const calibration = needsCalibration(recipe, benchmarkParts)
      ? {
          model: await openCalibrationModel(source, { kernels, contextLength: length }),
          sequences: cutSequences(source.tokenizer.encode(await readFile(calibrationText, 'utf8')), {
            length,
          }),
        }
      : undefined;
    const { tensors, config, bitsPerWeight, quantizedWeights } = await quantizeModel(source, recipe, {
      kernels,
      calibration,
      parts: benchmarkParts,
      onProgress: ({ weightsDone, weightsTotal }) => onProgress(weightsDone / weightsTotal),
    });
    const configJson = { ...source.configJson, quantization_config: serializeQuantizationConfig(config) };
    const bytes = await writeModelDirectory(output, {
      config: configJson,
      tensors,
      tokenizerFiles: source.tokenizerFiles,
    });
    const salientBitsPerWeight = (8 * salientBytes(tensors)) / quantizedWeights;
    return { format: recipe.name, path: output, bitsPerWeight, salientBitsPerWeight, bytes };
  } finally {
    kernels.close();
    await source.close();
  }
}

const salientSuffixes = [
  storedSuffixes.salientGaps,
  storedSuffixes.salientResiduals,
  storedSuffixes.salientScales,
  storedSuffixes.salientScaleBase,
];

function salientBytes(tensors: readonly LazyTensor[]): number {
  return tensors
    .filter(({ name }) => salientSuffixes.some((suffix) => name.endsWith(`.${suffix}`)))
    .reduce((sum, { dtype, shape }) => sum + safetensorsByteLength(dtype, shape)!, 0);
}
