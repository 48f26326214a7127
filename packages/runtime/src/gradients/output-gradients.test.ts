import { dequantize, int8, rowLayout, serializeQuantizationConfig, storeMatrix } from '@lbs/format';
import { createKernels } from '@lbs/kernels';
import type { ModelConfig, ModelSource } from '@lbs/model-loaders';
import { describe, expect, test } from 'vitest';
import { openCalibrationModel } from '../calibration/calibration-model.js';
import { logProbabilities, plainLogits } from '../fixtures/plain-decoder.js';
import { type RandomModel, randomModel } from '../fixtures/random-model.js';
import { drawIndex } from './head-gradients.js';

const config = {
  architecture: 'llama',
  hiddenSize: 8,
  intermediateSize: 6,
  layers: 2,
  heads: 4,
  keyValueHeads: 2,
  headSize: 4,
  vocabularySize: 11,
  contextLength: 300,
  normEpsilon: 1e-3,
  ropeTheta: 100,
  tiedEmbeddings: false,
} as const satisfies ModelConfig;

const tokensOf = (count: number, step: number) =>
  Array.from({ length: count }, (_, i) => (i * step + 1) % config.vocabularySize);

const linearModulesOf = ({ layers }: ModelConfig) =>
  Array.from({ length: layers }, (_, layer) =>
    ['q', 'k', 'v', 'o']
      .map((name) => `self_attn.${name}_proj`)
      .concat(['gate', 'up', 'down'].map((name) => `mlp.${name}_proj`))
      .map((name) => `model.layers.${layer}.${name}`),
  ).flat();

const modulesOf = (config: ModelConfig) => ['model.embed_tokens', ...linearModulesOf(config), 'lm_head'];

function rowsOf(config: ModelConfig, module: string): number {
  if (module === 'lm_head') return config.vocabularySize;
  if (module === 'model.embed_tokens') return config.hiddenSize;
  if (/gate|up/.test(module)) return config.intermediateSize;
  if (/o_proj|down/.test(module)) return config.hiddenSize;
  return config.headSize * (module.endsWith('q_proj') ? config.heads : config.keyValueHeads);
}

/** Loss of a sequence with one output of a linear layer moved. */
function lossOf(
  model: RandomModel,
  tokens: readonly number[],
  labels: readonly number[],
  moved?: { readonly module: string; readonly token: number; readonly row: number; readonly by: number },
): number {
  const logits = plainLogits(model, tokens, (module, token, output) => {
    if (module === moved?.module && token === moved.token) output[moved.row]! += moved.by;
  });
  const likelihoods = logProbabilities(logits);
  return labels.reduce((sum, label, position) => sum - likelihoods[position]![label]!, 0);
}

/** Squares [tokens][rows] of central differences of the loss. */
function squaredDifferences(
  model: RandomModel,
  tokens: readonly number[],
  labels: readonly number[],
  module: string,
): number[][] {
  const step = 1e-4;
  return tokens.map((_, token) =>
    Array.from({ length: rowsOf(model.config, module) }, (_, row) => {
      const at = (by: number) => lossOf(model, tokens, labels, { module, token, row, by });
      return ((at(step) - at(-step)) / (2 * step)) ** 2;
    }),
  );
}

/** A model whose linear layers have random int8 codes, and the same with their dequantized weights. */
function quantizedModel({ source, weights }: RandomModel): Record<'quantized' | 'dequantized', ModelSource> {
  const targets = linearModulesOf(source.config);
  const dense = new Map(weights);
  const stored = new Map<string, ReturnType<typeof storeMatrix>[number]>();
  for (const [i, module] of targets.entries()) {
    const rows = rowsOf(source.config, module);
    const columns = weights.get(`${module}.weight`)!.length / rows;
    const { packedBytes, groups } = rowLayout(int8, columns);
    const matrix = {
      ...{ format: int8, rows, columns, shared: new Uint8Array(0), scaleBases: new Uint8Array(0) },
      packed: Uint8Array.from(
        { length: rows * packedBytes },
        (_, k) => Math.imul(k + 1, 2654435761 + i) >>> 24,
      ),
      // 2^-10 in binary16.
      scales: Uint8Array.from({ length: 2 * rows * groups }, (_, k) => (k % 2 ? 0x14 : 0)),
    };
    dense.set(`${module}.weight`, Float32Array.from(dequantize(matrix)));
    for (const tensor of storeMatrix(module, matrix)) stored.set(tensor.name, tensor);
  }
  const groups = [{ targets, format: int8 }];
  return {
    dequantized: { ...source, readFloat32: async (name) => dense.get(name)! },
    quantized: {
      ...source,
      configJson: { quantization_config: serializeQuantizationConfig({ groups, provenance: {} }) },
      has: (name) =>
        stored.has(name) || (weights.has(name) && !targets.includes(name.replace('.weight', ''))),
      tensorInfo: (name) => stored.get(name) as unknown as ReturnType<ModelSource['tensorInfo']>,
      readBytes: async (name) => Uint8Array.from(stored.get(name)!.bytes),
    } as ModelSource,
  };
}

/** Within a relative tolerance, of hundredths of the greatest value at least; zeros may be what rounding leaves. */
function expectClose(actual: Float32Array, expected: readonly number[], tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  const greatest = expected.reduce((most, value) => Math.max(most, value), 0);
  for (const [i, value] of actual.entries()) {
    const bound = tolerance * (expected[i]! + greatest / 100) + 1e-12;
    expect(Math.abs(value - expected[i]!)).toBeLessThanOrEqual(bound);
  }
}

describe.each([
  ['heads in groups', {}],
  ['as many key heads as heads', { keyValueHeads: 4 }],
  ['one key head, the embedding as head', { keyValueHeads: 1, heads: 3, tiedEmbeddings: true }],
  ['norms of queries and keys', { architecture: 'qwen3' }],
  ['a window', { slidingWindow: 2 }],
  ['a window in one layer', { slidingWindow: 1, slidingLayers: [false, true] }],
  ['a layer without rotary embeddings', { rotaryLayers: [true, false] }],
  ['rotary embeddings of a part of each head', { rotarySize: 2 }],
  ['scales', { embeddingScale: 0.5, attentionScale: 0.8, residualScale: 0.6, logitScale: 0.7 }],
  ['biases', { queryKeyValueBias: true, attentionOutputBias: true, feedForwardBias: true }],
  [
    'scaled rotary embeddings',
    {
      ropeScaling: {
        type: 'longrope',
        shortFactors: [1, 1],
        longFactors: [1, 3],
        originalContextLength: 2,
        attentionFactor: 1.25,
      },
    },
  ],
])('gradients are the differences of the loss: %s', (_, changes) => {
  const model = randomModel({ ...config, ...(changes as Partial<ModelConfig>) }, 1);

  test.each([1, 2, 5])('%i tokens', async (count) => {
    const sequences = [tokensOf(count, 4), tokensOf(2, 5)];
    const labels = [tokensOf(count, 7), [9]];
    const measured = await (await openCalibrationModel(model.source)).measureOutputGradients(sequences, {
      labels,
    });
    expect([...measured.keys()]).toEqual(modulesOf(config));
    for (const [module, { tokenSums, rowMeans }] of measured) {
      const squares = sequences.map((tokens, i) => squaredDifferences(model, tokens, labels[i]!, module));
      for (const [i, sums] of tokenSums.entries()) {
        expectClose(
          sums,
          squares[i]!.map((rows) => rows.reduce((a, b) => a + b)),
          1e-4,
        );
      }
      const all = squares.flat();
      const means = [...rowMeans.keys()].map((row) =>
        all.reduce((sum, rows) => sum + rows[row]! / all.length, 0),
      );
      expectClose(rowMeans, means, 1e-4);
    }
  });

  test('the head tells what it reads, weighted with its gradients', async () => {
    const tokens = tokensOf(70, 4);
    const measured = await (await openCalibrationModel(model.source)).measureOutputGradients([tokens]);
    const { tokenSums, inputSquares } = measured.get('lm_head')!;
    // What the head reads has RMSNorm's mean square of almost 1 before the weights of the norm.
    const gains = model.weights.get('model.norm.weight')!;
    const mean = tokenSums[0]!.reduce((sum, square) => sum + square / tokens.length, 0);
    const normalized = inputSquares!.reduce((sum, square, j) => sum + square / gains[j]! ** 2, 0);
    expect(normalized / (config.hiddenSize * mean)).toBeCloseTo(1, 1);
    expect(measured.get('model.embed_tokens')!.inputSquares).toBeUndefined();
  });
});

test('an index is drawn as often as its probability says', () => {
  const probabilities = Float32Array.of(0, 0.5, 0, 0.25, 0.25 - 2 ** -20, 0);
  const counts = [0, 0, 0, 0, 0, 0];
  for (let i = 0; i < 1000; i++) counts[drawIndex(probabilities, (i + 0.5) / 1000)]!++;
  expect(counts).toEqual([0, 500, 0, 250, 250, 0]);
  expect(drawIndex(probabilities, 0)).toBe(1);
  expect(drawIndex(probabilities, 1 - 2 ** -32)).toBe(4);
});

describe('drawn labels', () => {
  const model = randomModel(config, 2);
  const measure = async (sequences: readonly (readonly number[])[], options = {}) =>
    (await openCalibrationModel(model.source)).measureOutputGradients(sequences, options);
  const texts = [tokensOf(9, 4), tokensOf(1, 1), tokensOf(5, 3)];

  test('are the same for the same seed', async () => {
    const result = await measure(texts);
    expect(await measure(texts, { seed: 0 })).toEqual(result);
    expect(await measure(texts, { seed: 1 })).not.toEqual(result);
  });

  test('follow the distribution of the model, so that errors of outputs predict the KL divergence', async () => {
    const [tokens, draws, step] = [[3], 600, 1e-3];
    const measured = await measure(Array(draws).fill(tokens));
    const likelihoods = logProbabilities(plainLogits(model, tokens))[0]!;
    const labels = likelihoods.map((_, label) => [label]);
    for (const module of ['model.layers.0.self_attn.v_proj', 'model.layers.1.mlp.down_proj']) {
      const squares = labels.map((label) => squaredDifferences(model, tokens, label, module)[0]!);
      for (const [row, mean] of measured.get(module)!.rowMeans.entries()) {
        const moment = (power: number) =>
          squares.reduce((sum, rows, label) => sum + Math.exp(likelihoods[label]!) * rows[row]! ** power, 0);
        const information = moment(1);
        const deviation = Math.sqrt((moment(2) - information ** 2) / draws);
        expect(Math.abs(mean - information)).toBeLessThan(4 * deviation);
        const moved = plainLogits(model, tokens, (name, _, output) => {
          if (name === module) output[row]! += step;
        });
        const divergence = logProbabilities(moved)[0]!.reduce(
          (sum, other, label) => sum + Math.exp(likelihoods[label]!) * (likelihoods[label]! - other),
          0,
        );
        expect(divergence / ((information * step ** 2) / 2)).toBeCloseTo(1, 1);
      }
    }
  });
});

test('two threads give the bits of one, over more than one tile of queries, keys and logits', async () => {
  const wide = { ...config, hiddenSize: 64, headSize: 16, intermediateSize: 96, vocabularySize: 256 };
  const { source } = randomModel(wide, 3);
  const sequences = [tokensOf(300, 4), tokensOf(129, 7)];
  const measure = async (threads: number) => {
    const kernels = await createKernels({ threads });
    const result = await (await openCalibrationModel(source, { kernels })).measureOutputGradients(sequences);
    kernels.close();
    return result;
  };
  const [one, two] = [await measure(1), await measure(2)];
  expect(two).toEqual(one);
});

test('a later token changes nothing where there is no loss behind it', async () => {
  const model = randomModel(config, 4);
  const labels = [tokensOf(131, 3)];
  const [short, long] = await Promise.all(
    [131, 140].map(async (count) =>
      (await openCalibrationModel(model.source)).measureOutputGradients([tokensOf(count, 4)], { labels }),
    ),
  );
  for (const [module, { tokenSums }] of long!) {
    const expected = short!.get(module)!.tokenSums[0]!;
    expectClose(tokenSums[0]!.subarray(0, 131), [...expected], 1e-5);
    expect(tokenSums[0]!.subarray(131).every((sum) => sum === 0)).toBe(true);
  }
});

test('quantized matrices count with their dequantized weights', async () => {
  const wide = { ...config, hiddenSize: 128, headSize: 32, intermediateSize: 96 };
  const { quantized, dequantized } = quantizedModel(randomModel(wide, 5));
  const options = { labels: [tokensOf(9, 3)] };
  const [measured, expected] = await Promise.all(
    [quantized, dequantized].map(async (source) =>
      (await openCalibrationModel(source)).measureOutputGradients([tokensOf(9, 4)], options),
    ),
  );
  for (const [module, { tokenSums, rowMeans }] of measured!) {
    expectClose(tokenSums[0]!, [...expected!.get(module)!.tokenSums[0]!], 1e-3);
    expectClose(rowMeans, [...expected!.get(module)!.rowMeans], 1e-3);
  }
});

test('tells how far it is, and leaves nothing behind', async () => {
  const { source } = randomModel(config, 6);
  const kernels = await createKernels();
  const model = await openCalibrationModel(source, { kernels });
  const before = kernels.bytes;
  const seen: number[] = [];
  await model.measureOutputGradients([[1, 2], [3]], {
    onProgress({ done, total }) {
      expect(total).toBe(10);
      seen.push(done);
    },
  });
  expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  expect(kernels.bytes).toBe(before);
});

test.each([1, 5, 8])('stops when aborted, at step %i of 10', async (last) => {
  const { source } = randomModel(config, 6);
  const kernels = await createKernels();
  const model = await openCalibrationModel(source, { kernels });
  const before = kernels.bytes;
  const controller = new AbortController();
  let steps = 0;
  const measuring = model.measureOutputGradients([[1, 2], [3]], {
    signal: controller.signal,
    onProgress({ done }) {
      steps = done;
      if (done === last) setTimeout(() => controller.abort(new Error('enough')), 0);
    },
  });
  await expect(measuring).rejects.toThrow('enough');
  expect(steps).toBe(last);
  expect(kernels.bytes).toBe(before);
  (await model.loadBlock(0)).release();
});

describe('refuses', async () => {
  const random = randomModel(config, 7);
  const model = await openCalibrationModel(random.source, { contextLength: 4 });

  test.each([
    [[], {}, /no sequences/],
    [[[]], {}, /no tokens/],
    [[[1], [11]], {}, /token 11 is outside of the vocabulary of 11/],
    [[[1, 2, 3, 4, 5]], {}, /5 tokens do not fit the context of 4/],
    [[[1], [2]], { labels: [[1]] }, /labels for 1 of 2 sequences/],
    [[[1], [2]], { labels: [[1], [1, 2]] }, /sequence 1 has 1 tokens, and 2 labels are too many/],
    [[[1], [2]], { labels: [[1], [-1]] }, /label -1 is outside of the vocabulary of 11/],
  ])('%j with %j', async (sequences, options, message) => {
    await expect(model.measureOutputGradients(sequences, options)).rejects.toThrow(message);
  });

  test('to measure while a block is in memory, and to load one meanwhile', async () => {
    const block = await model.loadBlock(0);
    await expect(model.measureOutputGradients([[1]])).rejects.toThrow(/block 0 is still in memory/);
    block.release();
    const measuring = model.measureOutputGradients([[1]]);
    await expect(model.loadBlock(0)).rejects.toThrow(/a measurement of gradients is still in memory/);
    await measuring;
  });

  test('gradients that are not finite', async () => {
    const broken = {
      ...random.source,
      readFloat32: async (name: string) => {
        const values = random.weights.get(name)!.slice();
        return name === 'model.layers.1.mlp.up_proj.weight' ? values.fill(Number.NaN) : values;
      },
    };
    await expect((await openCalibrationModel(broken)).measureOutputGradients([[1]])).rejects.toThrow(
      /lm_head.*the gradient of token 0 is not finite/,
    );
  });
});
