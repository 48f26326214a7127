import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serializeQuantizationConfig, zeroPointFormat } from '@lbs/format';
import { createKernels } from '@lbs/kernels';
import { blockMatrices, layoutOf, type ModelSource } from '@lbs/model-loaders';
import { openModel, writeModelDirectory } from '@lbs/model-loaders/node';
import { type CalibrationModel, parseRecipe, presets, quantizeModel } from '@lbs/quantizer';
import { loadDecoder, openCalibrationModel } from '@lbs/runtime';
import { afterAll, describe, expect, test } from 'vitest';

const kernels = await createKernels();
const folder = await mkdtemp(join(tmpdir(), 'lbs-architectures-'));
afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** Tiny models of the architectures that llama.cpp stores. */
const models = fileURLToPath(new URL('../../runtime/src/fixtures/gguf/', import.meta.url));
const files = (await readdir(models)).filter((file) => file.endsWith('.gguf'));
const tokensOf = (step: number) => Array.from({ length: 48 }, (_, i) => (i * step) % 61);

async function logitsOf(source: ModelSource): Promise<Float32Array> {
  const decoder = await loadDecoder(source, { contextLength: 64 });
  return decoder.logits(tokensOf(37), 0);
}

const meanSquare = (values: Float32Array) => values.reduce((sum, x) => sum + x * x, 0) / values.length;

describe.each(files)('%s', (file) => {
  test('quantized block by block, and written, computes what its calibration computed', async () => {
    const source = await openModel(join(models, file));
    const model: CalibrationModel = await openCalibrationModel(source, { kernels, contextLength: 64 });
    /** The last weights that were put in place of each module. */
    const replaced = new Map<string, Float32Array<ArrayBuffer>>();
    const observed: CalibrationModel = {
      ...model,
      async loadBlock(index, options) {
        const block = await model.loadBlock(index, options);
        return {
          ...block,
          replaceWeights(module, weights) {
            replaced.set(`${module}.weight`, Float32Array.from(weights));
            block.replaceWeights(module, weights);
          },
        };
      },
    };
    const layout = layoutOf(source.config);
    const targets = Array.from({ length: source.config.layers }, (_, layer) =>
      blockMatrices(source.config, layout).map(({ module }) => `${layout.blocks}.${layer}.${module}`),
    ).flat();
    const preset = await quantizeModel(source, presets.get('int8'), { kernels });
    const named = preset.tensors.flatMap(({ name }) => (name.endsWith('.weight_shape') ? [name] : []));
    expect(named.sort()).toEqual(targets.map((module) => `${module}.weight_shape`).sort());
    const recipe = parseRecipe({
      name: 'everything',
      rules: [{ targets, format: zeroPointFormat(4).name, solver: 'gptq', transform: 'awq' }],
    });
    const { tensors, config } = await quantizeModel(source, recipe, {
      kernels,
      calibration: { model: observed, sequences: [tokensOf(11), tokensOf(29)] },
    });
    expect([...replaced.keys()].sort()).toEqual(targets.map((module) => `${module}.weight`).sort());

    const path = join(folder, file);
    await writeModelDirectory(path, {
      config: { ...source.configJson, quantization_config: serializeQuantizationConfig(config) },
      tensors,
      tokenizerFiles: source.tokenizerFiles,
    });
    const written = await openModel(path);
    const calibrated = await logitsOf({
      ...source,
      // In float32: the stored bytes are not those of the replacements.
      tensorInfo: (name) => ({ ...source.tensorInfo(name), dtype: 'F32' }),
      readFloat32: async (name, options) => replaced.get(name) ?? source.readFloat32(name, options),
    });
    const actual = await logitsOf(written);
    const original = await logitsOf(source);
    await written.close();
    await source.close();
    const difference = meanSquare(actual.map((value, i) => value - calibrated[i]!));
    const cost = meanSquare(calibrated.map((value, i) => value - original[i]!));
    expect(cost).toBeGreaterThan(0);
    // Activations before quantized layers are rounded to 16 bits, and what is copied to BF16.
    expect(difference).toBeLessThan(0.02 * cost);
    expect(cost).toBeLessThan(0.1 * meanSquare(original));
  });
});
