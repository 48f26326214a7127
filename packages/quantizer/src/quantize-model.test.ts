import { float32FromFloat16, int4, loadMatrix } from '@lbs/format';
import { describe, expect, test } from 'vitest';
import { presets } from './presets.js';
import { type ModelWeights, quantizeModel } from './quantize-model.js';
import { parseRecipe } from './recipe.js';

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

describe('quantizeModel', () => {
  test('quantizes what the recipe names, copies the rest, and counts every byte', async () => {
    const result = await quantizeModel(model(), presets.get('int4-g64'));
    const stored = new Map(result.tensors.map((tensor) => [tensor.name, tensor]));
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
    const embedding = plain.tensors.find(({ name }) => name === names[0])!;
    expect(embedding.dtype).toBe('F32');
    expect(embedding.bytes).toEqual(await model().readBytes(names[0]!));

    const source = { ...model(), tensorInfo: () => ({ dtype: 'Q8_0', shape: [8, 64] }) };
    const stored = (await quantizeModel(source, presets.get('int8'))).tensors.find(
      ({ name }) => name === names[0],
    )!;
    expect(stored.dtype).toBe('F16');
    const values = float32FromFloat16(new Uint16Array(stored.bytes.buffer));
    const original = await source.readFloat32(names[0]!);
    expect(values.every((value, i) => Math.abs(value - original[i]!) <= 2 ** -11)).toBe(true);
  });

  test('reports each finished tensor with its error', async () => {
    const seen: unknown[] = [];
    await quantizeModel(model(), presets.get('lbs-4'), { onProgress: (progress) => seen.push(progress) });
    expect(seen).toHaveLength(2);
    expect(seen[1]).toMatchObject({ tensor: names[2], weightsDone: 1024, weightsTotal: 1024 });
    expect((seen[1] as { relativeError: number }).relativeError).toBeLessThan(0.02);
  });

  test('names the tensor, the place and the value of a weight that is not finite', async () => {
    const damaged = model((name, weights) => {
      if (name === names[2]) weights[130] = Number.NaN;
    });
    const job = quantizeModel(damaged, presets.get('lbs-4'));
    await expect(job).rejects.toThrow(
      'test-model, tensor "model.layers.0.mlp.up_proj.weight": weight [2, 2] is NaN',
    );
  });

  test('stops when aborted', async () => {
    const controller = new AbortController();
    const seen: string[] = [];
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
