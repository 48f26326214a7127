import { lbs3, nf4 } from '@lbs/format';
import { createKernels } from '@lbs/kernels';
import { describe, expect, test } from 'vitest';
import { normalWeights } from '../fixtures/normal-weights.js';
import { presets } from '../recipe/presets.js';
import type { Recipe } from '../recipe/recipe.js';
import type { ModelWeights } from '../source/model-weights.js';
import { estimateQuantization } from './estimate-quantization.js';
import { measureSpeed, secondsOf } from './quantization-speed.js';
import { quantizeModel } from './quantize-model.js';

const shapes: Record<string, readonly number[]> = {
  'model.embed_tokens.weight': [10, 96],
  'model.layers.0.mlp.up_proj.weight': [48, 200],
  'model.layers.0.mlp.down_proj.weight': [96, 128],
  'model.norm.weight': [96],
};
const size = (name: string) => shapes[name]!.reduce((product, length) => product * length, 1);
const source: ModelWeights = {
  name: 'two matrices',
  tensorNames: Object.keys(shapes),
  tensorInfo: (name) => ({ dtype: 'F32', shape: shapes[name]! }),
  readFloat32: async (name) => normalWeights(size(name)),
  readBytes: async (name) => new Uint8Array(4 * size(name)),
};
const salient = { score: 'magnitude', amount: { fraction: 0.02 } };
const recipes: readonly Recipe[] = [
  presets.get('int8'),
  {
    name: 'mixed',
    rules: [
      { targets: ['re:.*up_proj'], format: nf4.name, solver: 'rtn' },
      { targets: ['re:.*'], format: lbs3.name, solver: 'rtn', salient },
    ],
    ignore: ['model.norm', 'model.embed_tokens'],
  },
];

describe('estimateQuantization', () => {
  test.each(recipes)('$name: has the sizes that quantizing gives, reading no weight', async (recipe) => {
    const unreadable = { ...source, readFloat32: () => Promise.reject(), readBytes: () => Promise.reject() };
    const estimate = estimateQuantization(unreadable, recipe);
    const result = await quantizeModel(source, recipe);
    const outputBytes = result.quantizedBytes + 4 * (10 * 96 + 96);
    expect(estimate).toMatchObject({
      matrices: result.matrices,
      quantizedWeights: result.quantizedWeights,
      copiedBytes: 4 * (10 * 96 + 96),
    });
    expect(Math.abs(estimate.bitsPerWeight / result.bitsPerWeight - 1)).toBeLessThan(0.005);
    expect(Math.abs(estimate.outputBytes / outputBytes - 1)).toBeLessThan(0.005);
    if (!recipe.rules.some((rule) => rule.salient))
      expect(estimate.quantizedBytes).toBe(result.quantizedBytes);
  });

  // The unquantized model's stream takes as much again, and the moments between both are not symmetric.
  test.each([
    ['gptq-int4-g64', 1, 32, 128],
    ['lbs-3', 2, 96, 384],
  ])('counts the products and factorizations of a calibration: %s', (preset, streams, narrow, wide) => {
    const calibration = {
      blocks: 3,
      sequences: [4, 2],
      width: 8,
      stages: [
        { columns: 8, weights: 100 },
        { columns: 16, weights: 50 },
      ],
      headWeights: 1000,
    };
    const { work, memoryBytes } = estimateQuantization(source, presets.get(preset), { calibration });
    const products = 6 * (streams * 100 + narrow) + 6 * (streams * 50 + wide) + streams * (16 + 4) * 8;
    expect(work).toMatchObject({ products: 3 * products, factorizations: 3 * (8 ** 3 + 16 ** 3) });
    const largest = 96 * 128;
    expect(memoryBytes).toBe(4 * (150 + streams * 6 * (8 + 16) + (2 + streams) * 16 ** 2 + 5 * largest));
    const [rule] = work.solving.keys();
    const speed = { solving: new Map([[rule!, 2]]), product: 0.5, factorization: 0.25 };
    const factorized = 8 ** 3 + 16 ** 3;
    expect(secondsOf(work, speed)).toBe(
      2 * (48 * 200 + largest) + 0.5 * 3 * products + 0.25 * 3 * factorized,
    );
  });

  test('counts the gradients of an allocation, on a part of the sequences', () => {
    const calibration = { blocks: 2, sequences: Array(16).fill(10), width: 8, stages: [], headWeights: 100 };
    const recipe: Recipe = {
      name: 'budget',
      rules: [{ targets: ['re:.*_proj'], format: nf4.name, candidates: [lbs3.name], solver: 'rtn' }],
      budget: { bitsPerWeight: 4 },
    };
    const stages = [{ columns: 8, weights: 50 }];
    const { work } = estimateQuantization(source, recipe, { calibration: { ...calibration, stages } });
    expect(work.products).toBe(8 * 10 * (4 * 2 * 50 + 2 * 100));
  });

  test('does not depend on the number of blocks for its memory', () => {
    const stages = [{ columns: 96, weights: 9216 }];
    const memoryOf = (blocks: number) =>
      estimateQuantization(source, presets.get('lbs-3'), {
        calibration: { blocks, sequences: [512], width: 96, stages, headWeights: 960 },
      }).memoryBytes;
    expect(memoryOf(100)).toBe(memoryOf(1));
  });
});

test('measureSpeed times every rule, and leaves the memory of the kernels as it was', async () => {
  const kernels = await createKernels();
  const { work } = estimateQuantization(source, presets.get('lbs-3'), {
    calibration: { blocks: 1, sequences: [4], width: 8, stages: [], headWeights: 0 },
  });
  const before = kernels.bytes;
  let milliseconds = 0;
  const speed = measureSpeed(work, kernels, () => {
    milliseconds += 1000;
    return milliseconds;
  });
  expect(kernels.bytes).toBe(before);
  expect([...speed.solving.keys()]).toEqual([...work.solving.keys()]);
  const weights = 256 * 512;
  expect([...speed.solving.values()]).toEqual([1 / weights]);
  expect(speed.product).toBe(2 / (weights * 512));
  expect(speed.factorization).toBe(1 / 512 ** 3);
});
