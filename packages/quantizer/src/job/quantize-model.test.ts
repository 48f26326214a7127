import { dequantize, float32FromFloat16, int4, lbs4, loadMatrix } from '@lbs/format';
import { createKernels } from '@lbs/kernels';
import { describe, expect, test } from 'vitest';
import type { CalibrationModel } from '../calibration/calibration-model.js';
import { normalWeights } from '../fixtures/normal-weights.js';
import { presets } from '../recipe/presets.js';
import { parseRecipe } from '../recipe/recipe.js';
import { loadTensor } from '../source/lazy-tensor.js';
import type { ModelWeights } from '../source/model-weights.js';
import { type QuantizedModel, quantizeModel } from './quantize-model.js';

const names = [
  'model.embed_tokens.weight',
  'model.layers.0.self_attn.q_proj.weight',
  'model.layers.0.mlp.up_proj.weight',
];

function model(edit: (name: string, weights: Float32Array) => void = () => {}): ModelWeights {
  const weightsOf = (name: string) => {
    const weights = Float32Array.from({ length: 8 * 64 }, (_, i) => Math.sin(i * i + names.indexOf(name)));
    edit(name, weights);
    return weights;
  };
  return {
    name: 'test-model',
    tensorNames: names,
    tensorInfo: () => ({ dtype: 'F32', shape: [8, 64] }),
    readFloat32: async (name) => weightsOf(name),
    readBytes: async (name) => new Uint8Array(weightsOf(name).buffer),
  };
}

/** The tensors of a result with their bytes. */
const load = ({ tensors }: QuantizedModel) => Promise.all(tensors.map(loadTensor));

describe('quantizeModel', () => {
  test('quantizes what the recipe names, copies the rest, and counts every byte', async () => {
    const result = await quantizeModel(model(), presets.get('int4-g64'));
    const stored = new Map((await load(result)).map((tensor) => [tensor.name, tensor]));
    expect(stored.has('model.embed_tokens.weight')).toBe(true);
    expect(stored.has(names[1]!)).toBe(false);
    expect(result).toMatchObject({ matrices: 2, quantizedWeights: 1024 });
    // Codes, one scale a row, and the 8 bytes of the shape.
    expect(result.quantizedBytes).toBe(2 * (8 * (32 + 2) + 8));
    expect(result.bitsPerWeight).toBe((8 * result.quantizedBytes) / 1024);
    const matrix = await loadMatrix('model.layers.0.mlp.up_proj', int4, async (name) => stored.get(name));
    expect([matrix.rows, matrix.columns]).toEqual([8, 64]);
  });

  test('copies plain tensors byte by byte, and block-quantized ones as F16', async () => {
    const plain = await quantizeModel(model(), presets.get('int8'));
    const embedding = (await load(plain)).find(({ name }) => name === names[0])!;
    expect(embedding.dtype).toBe('F32');
    expect(embedding.bytes).toEqual(await model().readBytes(names[0]!));

    const source = { ...model(), tensorInfo: () => ({ dtype: 'Q8_0', shape: [8, 64] }) };
    const stored = (await load(await quantizeModel(source, presets.get('int8')))).find(
      ({ name }) => name === names[0],
    )!;
    expect(stored.dtype).toBe('F16');
    const values = float32FromFloat16(new Uint16Array(stored.bytes.buffer));
    const original = await source.readFloat32(names[0]!);
    expect(values.every((value, i) => Math.abs(value - original[i]!) <= 2 ** -11)).toBe(true);
  });

  test('copies modules of the ignore list, and says so in the config', async () => {
    const rule = { targets: ['re:.*'], format: int4.name, solver: 'rtn' };
    const ignore = ['re:.*q_proj', 'model.embed_tokens'];
    const { tensors, config, matrices } = await quantizeModel(model(), { name: 'x', rules: [rule], ignore });
    expect(matrices).toBe(1);
    expect(tensors.filter(({ dtype }) => dtype === 'F32').map(({ name }) => name)).toEqual(names.slice(0, 2));
    expect(config.ignore).toEqual(ignore);
  });

  test('reports each finished tensor with its error', async () => {
    const seen: unknown[] = [];
    await quantizeModel(model(), presets.get('int4-g64'), { onProgress: (progress) => seen.push(progress) });
    expect(seen).toHaveLength(2);
    expect(seen[1]).toMatchObject({ tensor: names[2], weightsDone: 1024, weightsTotal: 1024 });
    expect((seen[1] as { relativeError: number }).relativeError).toBeLessThan(0.02);
  });

  test('names the tensor, the place and the value of a weight that is not finite', async () => {
    const damaged = model((name, weights) => {
      if (name === names[2]) weights[130] = Number.NaN;
    });
    const job = quantizeModel(damaged, presets.get('int4-g64'));
    await expect(job).rejects.toThrow(
      'test-model, tensor "model.layers.0.mlp.up_proj.weight": weight [2, 2] is NaN',
    );
  });

  test('stops when aborted', async () => {
    const controller = new AbortController();
    const seen: unknown[] = [];
    const job = quantizeModel(model(), presets.get('int8'), {
      signal: controller.signal,
      onProgress: ({ tensor }) => {
        seen.push(tensor);
        controller.abort();
      },
    });
    await expect(job).rejects.toThrow(/abort/);
    expect(seen).toEqual([names[1]]);
  });

  test('refuses a recipe that matches nothing, or vectors', async () => {
    const recipe = parseRecipe({
      name: 'mine',
      rules: [{ targets: ['nothing'], format: int4.name, solver: 'rtn' }],
    });
    await expect(quantizeModel(model(), recipe)).rejects.toThrow(
      /no tensor matches the targets of recipe "mine"/,
    );
    const vectors = { ...model(), tensorInfo: () => ({ dtype: 'F32', shape: [512] }) };
    await expect(quantizeModel(vectors, presets.get('int8'))).rejects.toThrow(
      /only matrices can be quantized.*\[512\]/,
    );
  });
});

/** [tokens, 64] inputs of which neighbours are alike and some are larger than others. */
function correlatedInputs(tokens: readonly number[]): Float32Array {
  const inputs = normalWeights(64 * tokens.length);
  for (let i = 1; i < inputs.length; i++) inputs[i]! += 0.8 * inputs[i - 1]!;
  return inputs.map((value, i) => value * (1 + (((i % 64) * 7) % 5)));
}

/** One block of two layers [8, 64] with the same input, then one [8, 64] that reads what the first gives, eight times over. */
function calibrationModel(source: ModelWeights, seen: string[] = []): CalibrationModel {
  return {
    blocks: 1,
    embed: async (texts) => texts.map(correlatedInputs),
    async loadBlock() {
      const weights = new Map<string, Float32Array>();
      for (const name of names.slice(1)) weights.set(name, await source.readFloat32(name));
      return {
        stages: names.slice(1).map((name) => ({ modules: [name.slice(0, -'.weight'.length)], columns: 64 })),
        begin(sequence) {
          sequence.input = sequence.hidden.slice();
        },
        advance(stage, sequence) {
          const { input } = sequence;
          const matrix = weights.get(names[stage + 1]!)!;
          seen.push(`advance ${stage}`);
          sequence.input = input.map((_, i) => {
            const token = Math.floor(i / 64);
            let sum = 0;
            for (let j = 0; j < 64; j++) sum += matrix[(i % 8) * 64 + j]! * input[token * 64 + j]!;
            return sum;
          });
        },
        attentionReceived: ({ hidden }) =>
          Float32Array.from({ length: hidden.length / 64 }, (_, i) => 1 / (1 + i)),
        replaceWeights(module, replaced) {
          seen.push(`replace ${module}`);
          weights.set(`${module}.weight`, replaced);
        },
        release: () => seen.push('release'),
      };
    },
  };
}

describe('calibration', () => {
  const rule = (solver: string) => ({
    name: 'x',
    rules: [{ targets: ['re:.*_proj'], format: lbs4.name, solver, calibrate: true }],
  });

  test('walks through the stages, each after the layers before it were quantized', async () => {
    const seen: string[] = [];
    const calibration = { model: calibrationModel(model(), seen), sequences: [[1, 2, 3], [4]] };
    const { matrices } = await quantizeModel(model(), rule('gptq'), { calibration });
    expect(matrices).toBe(2);
    expect(seen).toEqual([
      'replace model.layers.0.self_attn.q_proj',
      ...['advance 0', 'advance 0'],
      'replace model.layers.0.mlp.up_proj',
      ...['advance 1', 'advance 1', 'release'],
    ]);
  });

  test('feedback of errors lowers the error of the outputs', async () => {
    const tokens = Array.from({ length: 200 }, (_, i) => i);
    const calibration = { model: calibrationModel(model()), sequences: [tokens] };
    const inputs = (await calibration.model.embed([tokens]))[0]!;
    const original = await model().readFloat32(names[1]!);
    const outputErrors: number[] = [];
    for (const recipe of [
      { ...presets.get('int4-g64'), rules: [{ ...rule('rtn').rules[0]!, calibrate: false }] },
      rule('rtn'),
      rule('gptq'),
    ]) {
      const tensors = await load(await quantizeModel(model(), recipe, { calibration }));
      const stored = new Map(tensors.map((tensor) => [tensor.name, tensor]));
      const matrix = await loadMatrix('model.layers.0.self_attn.q_proj', lbs4, async (name) =>
        stored.get(name),
      );
      const error = dequantize(matrix).map((value, i) => value - original[i]!);
      let sum = 0;
      for (let t = 0; t < tokens.length; t++) {
        for (let r = 0; r < 8; r++) {
          let output = 0;
          for (let j = 0; j < 64; j++) output += error[r * 64 + j]! * inputs[t * 64 + j]!;
          sum += output ** 2;
        }
      }
      outputErrors.push(sum);
    }
    expect(outputErrors[2]).toBeLessThan(0.9 * outputErrors[0]!);
    expect(outputErrors[2]).toBeLessThan(0.9 * outputErrors[1]!);
  });

  test('gives the same bytes on any number of threads', async () => {
    const sequences = [Array.from({ length: 100 }, (_, i) => i)];
    const bytes = [];
    for (const threads of [1, 3]) {
      const kernels = await createKernels({ threads });
      const calibration = { model: calibrationModel(model()), sequences };
      bytes.push(await load(await quantizeModel(model(), presets.get('lbs-3'), { calibration, kernels })));
      kernels.close();
    }
    expect(bytes[1]).toEqual(bytes[0]);
  });

  test('is asked for where a recipe needs it', async () => {
    await expect(quantizeModel(model(), presets.get('lbs-4'))).rejects.toThrow(
      /"lbs-4" measures activations/,
    );
  });

  test('measures for a score what the solver does without', async () => {
    const salient = { score: 'leftover-error', amount: { fraction: 0.05 } };
    const recipe = {
      name: 'x',
      rules: [{ targets: ['re:.*_proj'], format: lbs4.name, solver: 'rtn', salient }],
    };
    const calibration = { model: calibrationModel(model()), sequences: [[1, 2, 3]] };
    const { tensors } = await quantizeModel(model(), recipe, { calibration });
    expect(tensors.filter(({ name }) => name.endsWith('salient.weight_scale'))).toHaveLength(2);
    await expect(quantizeModel(model(), recipe)).rejects.toThrow(/measures activations/);
  });

  test('leaves rules alone that need no statistics', async () => {
    const [first, second] = names.slice(1).map((name) => name.slice(0, -'.weight'.length)) as [
      string,
      string,
    ];
    const recipe = {
      name: 'x',
      rules: [
        { targets: [first], format: int4.name, solver: 'rtn' },
        { targets: [second], format: int4.name, solver: 'gptq' },
      ],
    };
    const calibration = { model: calibrationModel(model()), sequences: [[1, 2, 3]] };
    const packed = async (result: QuantizedModel) =>
      (await load(result)).find(({ name }) => name === `${first}.weight_packed`)!.bytes;
    const calibrated = await packed(await quantizeModel(model(), recipe, { calibration }));
    expect(calibrated).toEqual(await packed(await quantizeModel(model(), presets.get('int4-g64'))));
  });

  test('releases the block when a layer fails', async () => {
    const seen: string[] = [];
    const damaged = model((name, weights) => {
      if (name === names[1]) weights[0] = Number.NaN;
    });
    const calibration = { model: calibrationModel(model(), seen), sequences: [[1]] };
    await expect(quantizeModel(damaged, presets.get('lbs-4'), { calibration })).rejects.toThrow(/is NaN/);
    expect(seen).toEqual(['advance 0', 'release']);
  });

  test('cannot measure what is not in a block, and says which tensor', async () => {
    const recipe = { name: 'x', rules: [{ targets: ['re:.*'], format: lbs4.name, solver: 'gptq' }] };
    const calibration = { model: calibrationModel(model()), sequences: [[1, 2]] };
    await expect(quantizeModel(model(), recipe, { calibration })).rejects.toThrow(
      /model.embed_tokens.weight.*not one of a decoder block/,
    );
  });

  test('names the layer whose inputs are not finite', async () => {
    const { loadBlock } = calibrationModel(model());
    const broken = { blocks: 1, embed: async () => [new Float32Array(64).fill(Number.NaN)], loadBlock };
    const job = quantizeModel(model(), presets.get('lbs-4'), {
      calibration: { model: broken, sequences: [[1]] },
    });
    await expect(job).rejects.toThrow(/layers.0.self_attn.q_proj.*not finite on the calibration text/);
  });
});

describe('recipes', () => {
  test('are JSON', () => {
    for (const name of presets.names) {
      expect(parseRecipe(JSON.parse(JSON.stringify(presets.get(name))))).toEqual(presets.get(name));
    }
  });

  test.each([
    [{ name: 'x', rules: [] }, /rules/],
    [{ name: 'x', rules: [{ targets: ['a'], format: 'int8-g64', solver: 'rtn', salience: 1 }] }, /salience/],
    [{ name: 'x', rules: [{ targets: ['re:('], format: 'int8-g64', solver: 'rtn' }] }, /does not end/],
    [
      { name: 'x', rules: [{ targets: ['a'], format: 'int8-g64', solver: 'rtn' }], ignore: ['re:('] },
      /does not end/,
    ],
    ['lbs-4', /recipe/],
  ])('that are malformed are refused: %j', (value, message) => {
    expect(() => parseRecipe(value)).toThrow(message);
  });

  test('that name an unknown part say which are known', async () => {
    const rule = { targets: ['re:.*'], format: 'int8-g64', solver: 'magic' };
    await expect(quantizeModel(model(), { name: 'x', rules: [rule] })).rejects.toThrow(
      /unknown solver "magic". Known: rtn/,
    );
  });
});
