import { readFileSync } from 'node:fs';
import {
  FileAccessError,
  InvalidArgumentError,
  MalformedFileError,
  type SafetensorsDtype,
  serializeSafetensorsHeader,
  TensorMismatchError,
  UnsupportedError,
} from '@lbs/format';
import { describe, expect, it } from 'vitest';
import { memorySource } from '../fixtures/memory-source.js';
import { referenceModel, tinyModel } from '../fixtures/paths.js';
import { openFileSource } from '../node/file-source.js';
import { fileDirectory, openModel } from '../node/open-model.js';
import type { ModelDirectory } from '../sources/model-directory.js';
import { openModelDirectory } from './open-model-directory.js';

describe('the reference model', () => {
  it('opens, and gives its tensors', async () => {
    const model = await openModel(`${referenceModel}/`);
    expect(model.name).toBe('reference-lm');
    expect(model.config).toMatchObject({
      hiddenSize: 256,
      layers: 6,
      heads: 4,
      keyValueHeads: 2,
      tiedEmbeddings: true,
    });
    expect(model.configJson['model_type']).toBe('llama');
    expect([...model.tokenizerFiles.keys()]).toEqual(['tokenizer.json', 'tokenizer_config.json']);
    expect(model.tokenizer.vocabularySize).toBe(4096);
    expect(model.tensorNames).toHaveLength(2 + 6 * 9);
    expect(model.has('lm_head.weight')).toBe(false);
    const name = 'model.layers.5.mlp.down_proj.weight';
    expect(model.tensorInfo(name)).toEqual({ dtype: 'BF16', shape: [256, 768], byteLength: 2 * 256 * 768 });
    expect(await model.readFloat32(name)).toHaveLength(256 * 768);
    expect(await model.readBytes(name)).toHaveLength(2 * 256 * 768);
    expect(() => model.tensorInfo('x')).toThrow(InvalidArgumentError);
    expect(model.fileBytes).toBeGreaterThan(11_000_000);
    await model.close();
    await expect(model.readFloat32(name)).rejects.toThrow();
  });
});

/** The reference model with some of its files replaced, and a count of the files that are open. */
function changed(
  files: Readonly<Record<string, string | undefined>>,
): ModelDirectory & { countOpen: () => number } {
  const original = fileDirectory(referenceModel);
  let openFiles = 0;
  return {
    name: 'models/changed',
    countOpen: () => openFiles,
    async open(fileName) {
      const text = files[fileName];
      const source =
        fileName in files
          ? text !== undefined && memorySource(new TextEncoder().encode(text), fileName)
          : await original.open(fileName);
      if (!source) return undefined;
      openFiles++;
      return {
        ...source,
        async close() {
          openFiles--;
          await source.close?.();
        },
      };
    },
  };
}

describe('a changed model directory', () => {
  const configJson = JSON.parse(readFileSync(`${referenceModel}/config.json`, 'utf8')) as object;
  const config = (change: object) => ({ 'config.json': JSON.stringify({ ...configJson, ...change }) });

  it.each([
    [
      'no config',
      { 'config.json': undefined },
      FileAccessError,
      'models/changed/config.json: the file is missing',
    ],
    [
      'a config that is not JSON',
      { 'config.json': '<html>' },
      MalformedFileError,
      'models/changed/config.json: this is not JSON',
    ],
    ['a config that is a list', { 'config.json': '[]' }, MalformedFileError, 'not an object'],
    ['another architecture', config({ model_type: 'bert' }), UnsupportedError, 'Known: gemma'],
    ['no weights', { 'model.safetensors': undefined }, FileAccessError, 'neither model.safetensors nor'],
    [
      'weights that are something else',
      { 'model.safetensors': 'version https://git-lfs' },
      MalformedFileError,
      'header length',
    ],
    [
      'no tokenizer',
      { 'tokenizer.json': undefined },
      FileAccessError,
      'models/changed/tokenizer.json: the file is missing',
    ],
    [
      'more layers than tensors',
      config({ num_hidden_layers: 7 }),
      TensorMismatchError,
      'tensor "model.layers.6.input_layernorm.weight": the tensor is missing',
    ],
    [
      'untied embeddings without a head',
      config({ tie_word_embeddings: false }),
      TensorMismatchError,
      '"lm_head.weight"',
    ],
    [
      'another width',
      config({ intermediate_size: 800 }),
      TensorMismatchError,
      'expected the shape [800, 256], found [768, 256]',
    ],
    [
      'an index of missing shards',
      {
        'model.safetensors': undefined,
        'model.safetensors.index.json': '{"weight_map":{"a":"b.safetensors"}}',
      },
      FileAccessError,
      'b.safetensors: the file is missing',
    ],
  ] as const)('is refused with %s, and no file stays open', async (_, files, error, message) => {
    const directory = changed(files);
    const opening = openModelDirectory(directory);
    await expect(opening).rejects.toThrow(error);
    await expect(opening).rejects.toThrow(message);
    expect(directory.countOpen()).toBe(0);
  });

  it('opens from an index, without a tokenizer config', async () => {
    const whole = await openModel(referenceModel);
    const weight_map = Object.fromEntries(whole.tensorNames.map((name) => [name, 'weights.safetensors']));
    const directory = changed({
      'model.safetensors': undefined,
      'model.safetensors.index.json': JSON.stringify({ weight_map }),
      'tokenizer_config.json': undefined,
    });
    const model = await openModelDirectory({
      name: directory.name,
      open: (name) =>
        name === 'weights.safetensors'
          ? openFileSource(`${referenceModel}/model.safetensors`)
          : directory.open(name),
    });
    expect(model.tensorNames).toEqual(whole.tensorNames);
    expect(await model.readFloat32('model.norm.weight')).toEqual(
      await whole.readFloat32('model.norm.weight'),
    );
    expect(model.fileBytes).toBe(whole.fileBytes);
    await model.close();
    await whole.close();
  });
});

describe('a directory that this toolkit quantized', () => {
  const projection = 'model.layers.0.mlp.up_proj.weight';

  async function quantized(quant_method: string, helper: string) {
    const whole = await openModel(referenceModel);
    const specs = whole.tensorNames.map((name) => {
      const { dtype, shape } = whole.tensorInfo(name);
      return name === projection
        ? { name: helper, dtype: 'U8' as const, shape: [4] }
        : { name, dtype: dtype as SafetensorsDtype, shape };
    });
    const header = serializeSafetensorsHeader(specs);
    const file = new Uint8Array(header.fileSize);
    file.set(header.bytes);
    const quantization_config = { quant_method };
    const text = JSON.stringify({ ...whole.configJson, quantization_config });
    await whole.close();
    const directory = changed({ 'config.json': text });
    return openModelDirectory({
      name: 'quantized',
      open: async (name) => (name === 'model.safetensors' ? memorySource(file, name) : directory.open(name)),
    });
  }

  it('may have helper tensors in the place of a weight', async () => {
    const model = await quantized('lbs', `${projection}_packed`);
    expect(model.has(projection)).toBe(false);
    expect(model.tensorInfo(`${projection}_packed`)).toEqual({ dtype: 'U8', shape: [4], byteLength: 4 });
    expect(await model.readFloat32(`${projection}_packed`)).toHaveLength(4);
  });

  it('may not lack a weight', async () => {
    await expect(quantized('lbs', 'other')).rejects.toThrow(TensorMismatchError);
    await expect(quantized('gptq', `${projection}_packed`)).rejects.toThrow(UnsupportedError);
  });
});

describe('a directory that somebody else quantized', () => {
  it('opens as the model of its dequantized matrices', async () => {
    const whole = await openModel(tinyModel);
    const parts: { name: string; dtype: SafetensorsDtype; shape: readonly number[]; bytes: Uint8Array }[] =
      [];
    for (const name of whole.tensorNames) {
      const { dtype, shape } = whole.tensorInfo(name);
      if (!name.includes('_proj')) {
        parts.push({ name, dtype: dtype as SafetensorsDtype, shape, bytes: await whole.readBytes(name) });
        continue;
      }
      const [rows, columns] = shape as [number, number];
      const values = await whole.readFloat32(name);
      const scales = Float32Array.from(
        { length: rows },
        (_, row) => Math.max(...values.subarray(row * columns, (row + 1) * columns).map(Math.abs)) / 127,
      );
      const codes = Int8Array.from(values, (value, i) =>
        Math.round(value / scales[Math.floor(i / columns)]!),
      );
      parts.push({ name, dtype: 'I8', shape, bytes: new Uint8Array(codes.buffer) });
      parts.push({
        name: `${name}_scale`,
        dtype: 'F32',
        shape: [rows, 1],
        bytes: new Uint8Array(scales.buffer),
      });
    }
    const header = serializeSafetensorsHeader(parts);
    const file = new Uint8Array(header.fileSize);
    file.set(header.bytes);
    for (const { name, begin } of header.order) {
      file.set(parts.find((part) => part.name === name)!.bytes, header.bytes.length + begin);
    }
    const weights = { num_bits: 8, type: 'int', symmetric: true, strategy: 'channel' };
    const quantization_config = {
      quant_method: 'compressed-tensors',
      format: 'int-quantized',
      config_groups: { group_0: { targets: ['Linear'], weights } },
    };
    const text = JSON.stringify({ ...whole.configJson, quantization_config });
    const original = fileDirectory(tinyModel);
    const model = await openModelDirectory({
      name: 'compressed',
      async open(name) {
        if (name === 'model.safetensors') return memorySource(file, name);
        return name === 'config.json'
          ? memorySource(new TextEncoder().encode(text), name)
          : original.open(name);
      },
    });
    expect([...model.tensorNames].sort()).toEqual([...whole.tensorNames].sort());
    expect(model.configJson).toEqual(whole.configJson);
    const name = 'model.layers.1.mlp.down_proj.weight';
    expect(model.tensorInfo(name)).toMatchObject({ dtype: 'F32', shape: whole.tensorInfo(name).shape });
    const [found, expected] = [await model.readFloat32(name), await whole.readFloat32(name)];
    const error = found.reduce((sum, value, i) => sum + (value - expected[i]!) ** 2, 0);
    const power = expected.reduce((sum, value) => sum + value ** 2, 0);
    expect(error / power).toBeLessThan(1e-3);
    await whole.close();
  });
});

describe('openModel', () => {
  it('refuses what is no model', async () => {
    await expect(openModel('/nowhere/model')).rejects.toThrow(FileAccessError);
    await expect(openModel(`${referenceModel}/config.json`)).rejects.toThrow(UnsupportedError);
    await expect(openModel(referenceModel, { signal: AbortSignal.abort() })).rejects.toThrow('aborted');
  });
});
