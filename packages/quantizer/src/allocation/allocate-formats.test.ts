import { int4, int8 } from '@lbs/format';
import { createKernels } from '@lbs/kernels';
import { describe, expect, test } from 'vitest';
import type { CalibrationModel } from '../calibration/calibration-model.js';
import { normalWeights } from '../fixtures/normal-weights.js';
import { quantizeModel } from '../job/quantize-model.js';
import { parseRecipe, type Recipe } from '../recipe/recipe.js';
import { standardParts } from '../recipe/resolved-rule.js';
import { allocateFormats } from './allocate-formats.js';

const size = 64;
const blocks = ['a', 'b', 'c', 'd'].map((name) => `layers.${name}`);
const names = ['model.embed_tokens', ...blocks, 'lm_head'].map((module) => `${module}.weight`);
const source = {
  name: 'model',
  tensorNames: names,
  tensorInfo: () => ({ dtype: 'F32', shape: [size, size] }),
  readFloat32: async () => normalWeights(size * size),
  readBytes: async () => new Uint8Array(normalWeights(size * size).buffer),
};

/** A model of blocks of one layer that reads normal inputs, whose outputs matter as `importance` says. */
function modelOf(importance: Readonly<Record<string, number>>): CalibrationModel {
  return {
    blocks: blocks.length,
    embed: async (texts) => texts.map(({ length }) => normalWeights(size * length)),
    async loadBlock(index) {
      return {
        stages: [{ modules: [blocks[index]!], columns: size }],
        begin(sequence) {
          sequence.input = sequence.hidden;
        },
        advance() {},
        attentionReceived: ({ hidden }) => new Float32Array(hidden.length / size).fill(1),
        replaceWeights() {},
        release() {},
      };
    },
    async measureOutputGradients(sequences) {
      const flat = new Float32Array(size).fill(1);
      return new Map(
        ['model.embed_tokens', ...blocks, 'lm_head'].map((module) => {
          const square = importance[module] ?? 1;
          const tokenSums = sequences.map(({ length }) => new Float32Array(length).fill(square));
          const rowMeans = flat.map((share) => (square * share) / size);
          return [module, { tokenSums, rowMeans, inputSquares: flat.map(() => square) }];
        }),
      );
    },
  };
}

const recipe: Recipe = parseRecipe({
  name: 'mixed',
  rules: [{ targets: ['re:layers\\..*'], format: int4.name, candidates: [int8.name], solver: 'rtn' }],
  budget: { bitsPerWeight: 6.5 },
});
const sequences = [[1, 2, 3, 4, 5, 6, 7, 8]];
const kernels = await createKernels();
const optionsFor = (importance: Readonly<Record<string, number>>) => ({
  ...{ model: modelOf(importance), sequences, kernels, parts: standardParts },
});

describe('allocateFormats', () => {
  test('gives the layers that matter more bits, within the budget', async () => {
    const shares: number[] = [];
    const allocated = await allocateFormats(source, recipe, {
      ...optionsFor({ 'layers.b': 9, 'layers.d': 4 }),
      onProgress: (share) => shares.push(share),
    });
    const formatOf = (module: string) =>
      allocated.rules.find(({ targets }) => targets.includes(module))!.format;
    expect(blocks.map(formatOf)).toEqual([int4.name, int8.name, int4.name, int8.name]);
    expect(allocated.budget).toBeUndefined();
    expect(parseRecipe(JSON.parse(JSON.stringify(allocated)))).toEqual(allocated);
    expect(shares.at(-1)).toBe(1);
    expect(shares).toEqual(shares.toSorted((a, b) => a - b));
  });

  test('a budget in bytes counts what is copied; embedding and head take part where they have a rule', async () => {
    const everything = { ...recipe.rules[0]!, targets: ['re:.*'] };
    const copied = 4 * size * size;
    const oneOfFive = 8 * 5 + 5 * ((size * size) / 2 + 2 * size) + (size * size) / 2;
    const allocated = await allocateFormats(
      source,
      { ...recipe, rules: [everything], ignore: ['lm_head'], budget: { bytes: copied + oneOfFive } },
      optionsFor({ 'model.embed_tokens': 5000 }),
    );
    const wide = allocated.rules.find(({ format }) => format === int8.name);
    expect(wide?.targets).toEqual(['model.embed_tokens']);
    expect(allocated.ignore).toEqual(['lm_head']);
  });

  test('is a part of quantizing a model, and the result is within the budget', async () => {
    const { bitsPerWeight, config } = await quantizeModel(source, recipe, {
      kernels,
      calibration: { model: modelOf({ 'layers.c': 7 }), sequences },
    });
    expect(bitsPerWeight).toBeLessThanOrEqual(6.5);
    expect(bitsPerWeight).toBeGreaterThan(6);
    expect(config.groups).toHaveLength(2);
    expect(config.groups.find(({ format }) => format.name === int8.name)!.targets).toContain('layers.c');
    expect(config.provenance).toEqual({ recipe });
  });

  test('by the error of outputs every layer counts the same, without gradients', async () => {
    const { measureOutputGradients: _, ...blind } = modelOf({});
    const loud = {
      ...source,
      readFloat32: async (name: string) =>
        normalWeights(size * size).map((weight, i) =>
          name.includes('.b.') && i % 7 === 0 ? 9 * weight : weight,
        ),
    };
    const budget = { bitsPerWeight: 5.5, by: 'output-error' };
    const allocated = await allocateFormats(loud, { ...recipe, budget }, { ...optionsFor({}), model: blind });
    // The layer with outliers loses most by its coarse steps, relative to what it puts out.
    const wide = allocated.rules.find(({ format }) => format === int8.name);
    expect(wide?.targets).toEqual(['layers.b']);
  });

  test('leaves a recipe without a budget alone', async () => {
    const { budget: _, ...fixed } = recipe;
    expect(await allocateFormats(source, fixed, optionsFor({}))).toBe(fixed);
  });

  test('refuses a budget that is too small, and a model without gradients', async () => {
    const small = { ...recipe, budget: { bitsPerWeight: 4 } };
    await expect(allocateFormats(source, small, optionsFor({}))).rejects.toThrow(/smallest choices take/);
    const { measureOutputGradients: _, ...blind } = modelOf({});
    const options = { ...optionsFor({}), model: blind };
    await expect(allocateFormats(source, recipe, options)).rejects.toThrow(/cannot measure/);
    await expect(quantizeModel(source, recipe)).rejects.toThrow(/needs a calibration text/);
  });
});

test('scores by Fisher information differentiate the loss', async () => {
  const fisher: Recipe = parseRecipe({
    name: 'fisher',
    rules: [
      {
        targets: ['re:layers\\..*'],
        ...{ format: int4.name, solver: 'rtn' },
        salient: { score: 'fisher-error', amount: { fraction: 0.01 } },
      },
    ],
  });
  const calibration = { model: modelOf({}), sequences };
  const { tensors } = await quantizeModel(source, fisher, { kernels, calibration });
  expect(tensors.filter(({ name }) => name.endsWith('salient.weight_scale'))).toHaveLength(blocks.length);
  await expect(quantizeModel(source, fisher, { kernels })).rejects.toThrow(/needs a calibration text/);
});

test('a budget and scores by Fisher information share one measurement, whose progress is told', async () => {
  let measurements = 0;
  const model = modelOf({});
  const counted: CalibrationModel = {
    ...model,
    measureOutputGradients(texts, options) {
      measurements++;
      options?.onProgress?.({ done: 1, total: 1 });
      return model.measureOutputGradients!(texts, options);
    },
  };
  const both = parseRecipe({
    ...recipe,
    rules: [{ ...recipe.rules[0]!, salient: { score: 'fisher-error', amount: { fraction: 0.01 } } }],
  });
  const shares: number[] = [];
  await quantizeModel(source, both, {
    kernels,
    calibration: { model: counted, sequences },
    onProgress: ({ stage, prepared }) => stage === 'preparing' && shares.push(prepared!),
  });
  expect(measurements).toBe(1);
  expect(shares[0]).toBe(0.5);
  expect(shares.at(-1)).toBe(1);
  expect(shares).toEqual([...shares].sort((a, b) => a - b));
});
