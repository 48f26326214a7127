import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  dequantize,
  formatOfModule,
  int8,
  lbs4,
  loadMatrix,
  parseQuantizationConfig,
  type StoredTensorReader,
  serializeQuantizationConfig,
} from '@lbs/format';
import { verifyModel } from '@lbs/model-loaders';
import { fileDirectory, openModel, writeModelDirectory } from '@lbs/model-loaders/node';
import { parseRecipe, quantizeModel } from '@lbs/quantizer';
import { loadLanguageModel } from '@lbs/runtime';
import { afterAll, expect, test } from 'vitest';

const tiny = fileURLToPath(new URL('../../../datasets/tiny-lm/', import.meta.url));
const folder = await mkdtemp(join(tmpdir(), 'lbs-mixed-'));
const original = await openModel(tiny);
afterAll(async () => {
  await original.close();
  await rm(folder, { recursive: true });
});

const recipe = parseRecipe({
  name: 'mixed',
  rules: [
    { targets: ['re:.*\\.down_proj', 'lm_head'], format: int8.name, solver: 'rtn' },
    {
      targets: ['re:.*_proj', 're:model\\.embed_tokens'],
      format: lbs4.name,
      solver: 'rtn',
      salient: { score: 'magnitude', amount: { fraction: 0.01 } },
    },
  ],
  ignore: ['model.layers.0.self_attn.q_proj', 're:.*\\.v_proj'],
});

test('a model of two formats and ignored modules runs as its dequantized weights do', async () => {
  const path = join(folder, 'mixed');
  const { tensors, config } = await quantizeModel(original, recipe);
  const configJson = { ...original.configJson, quantization_config: serializeQuantizationConfig(config) };
  await writeModelDirectory(
    path,
    { config: configJson, tensors, tokenizerFiles: original.tokenizerFiles },
    { maxShardBytes: 50_000 },
  );
  expect(await verifyModel(fileDirectory(path))).toMatchObject({ ok: true });
  const written = await openModel(path);
  try {
    const formatOf = formatOfModule(parseQuantizationConfig(written.configJson['quantization_config']));
    expect(formatOf('model.layers.1.mlp.down_proj')).toEqual(int8);
    expect(formatOf('model.layers.1.mlp.up_proj')).toEqual(lbs4);
    expect(formatOf('model.layers.1.self_attn.v_proj')).toBeUndefined();
    const ignored = 'model.layers.1.self_attn.v_proj.weight';
    expect(await written.readBytes(ignored)).toEqual(await original.readBytes(ignored));

    const read: StoredTensorReader = async (name) =>
      written.has(name) ? { ...written.tensorInfo(name), bytes: await written.readBytes(name) } : undefined;
    // The original's tensors with the values of the quantized ones in their place.
    const dense = {
      ...original,
      async readFloat32(name: string) {
        const module = name.replace(/\.weight$/, '');
        if (written.has(name)) return written.readFloat32(name);
        return dequantize(await loadMatrix(module, formatOf(module)!, read)) as Float32Array<ArrayBuffer>;
      },
    };
    const tokens = Array.from({ length: 24 }, (_, i) => (i * 37) % 512);
    const logits = await (await loadLanguageModel(written)).logits(tokens, 0);
    const expected = await (await loadLanguageModel(dense)).logits(tokens, 0);
    const other = await (await loadLanguageModel(original)).logits(tokens, 0);
    const distance = (a: Float32Array, b: Float32Array) =>
      Math.sqrt(a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0) / a.length);
    // The kernels round activations to 16 bits; quantization itself is two orders of magnitude farther away.
    expect(distance(logits, expected)).toBeLessThan(0.01 * distance(expected, other));
  } finally {
    await written.close();
  }
});
