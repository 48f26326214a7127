import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import {
  MalformedFileError,
  serializeSafetensorsHeader,
  TensorMismatchError,
  UnsupportedError,
} from '@lbs/format';
import { describe, expect, it } from 'vitest';
import { llama } from '../config/architectures/llama.js';
import { type CraftedValue, craftGguf, u64, value } from '../fixtures/craft-gguf.js';
import { memorySource } from '../fixtures/memory-source.js';
import { jsonFixture, smollm2 } from '../fixtures/paths.js';
import { openModelDirectory } from '../model/open-model-directory.js';
import { openFileSource } from '../node/file-source.js';
import { openModel } from '../node/open-model.js';
import { openGguf } from './gguf.js';
import { huggingFaceTensorName } from './gguf-tensors.js';
import { openGgufModel } from './open-gguf-model.js';

const sha256 = (values: Float32Array<ArrayBuffer>) =>
  createHash('sha256')
    .update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
    .digest('hex');

describe('a crafted GGUF model', () => {
  const sizes = { hidden: 8, middle: 12, vocabulary: 3 };
  const base: Readonly<Record<string, CraftedValue>> = {
    'general.architecture': value.string('llama'),
    'llama.block_count': value.u32(1),
    'llama.context_length': value.u32(16),
    'llama.embedding_length': value.u32(sizes.hidden),
    'llama.feed_forward_length': value.u32(sizes.middle),
    'llama.attention.head_count': value.u32(2),
    'llama.attention.head_count_kv': value.u32(1),
    'llama.attention.layer_norm_rms_epsilon': value.f32(1e-5),
    'tokenizer.ggml.model': value.string('gpt2'),
    'tokenizer.ggml.pre': value.string('gpt-2'),
    'tokenizer.ggml.tokens': value.strings(['a', 'b', '</s>']),
    'tokenizer.ggml.token_type': value.u32s([1, 1, 3]),
    'tokenizer.ggml.merges': value.strings([]),
    'tokenizer.ggml.eos_token_id': value.u32(2),
  };
  const shapes: Readonly<Record<string, readonly number[]>> = {
    'token_embd.weight': [8, 3],
    'blk.0.attn_norm.weight': [8],
    'blk.0.attn_q.weight': [8, 8],
    'blk.0.attn_k.weight': [8, 4],
    'blk.0.attn_v.weight': [8, 4],
    'blk.0.attn_output.weight': [8, 8],
    'blk.0.ffn_norm.weight': [8],
    'blk.0.ffn_gate.weight': [8, 12],
    'blk.0.ffn_up.weight': [8, 12],
    'blk.0.ffn_down.weight': [12, 8],
    'output_norm.weight': [8],
  };
  const craft = (
    metadata: object = {},
    tensors: Readonly<Record<string, readonly number[]>> = shapes,
    type = 0,
  ) => {
    let offset = 0;
    const list = Object.entries(tensors).map(([name, dimensions]) => {
      const tensor = { name, dimensions, type, offset };
      offset += Math.ceil((dimensions.reduce((a, b) => a * b) * (type === 0 ? 4 : 36 / 32)) / 32) * 32;
      return tensor;
    });
    const entries = Object.entries({ ...base, ...metadata }).filter(([, entry]) => entry !== undefined);
    return memorySource(craftGguf({ metadata: entries, tensors: list, dataBytes: offset }), 'dir/Tiny.gguf');
  };

  it('opens under Hugging Face names', async () => {
    const model = await openGgufModel(craft());
    expect(model.name).toBe('Tiny');
    expect(model.config).toEqual({
      architecture: 'llama',
      hiddenSize: 8,
      intermediateSize: 12,
      layers: 1,
      heads: 2,
      keyValueHeads: 1,
      headSize: 4,
      vocabularySize: 3,
      contextLength: 16,
      normEpsilon: 1e-5,
      ropeTheta: 10000,
      tiedEmbeddings: true,
      endOfSequence: 2,
    });
    expect(model.tensorInfo('model.layers.0.mlp.down_proj.weight')).toEqual({
      dtype: 'F32',
      shape: [8, 12],
      byteLength: 384,
    });
    expect(model.tokenizer.encode('ab</s>a')).toEqual([0, 1, 2, 0]);
    expect(
      JSON.parse(new TextDecoder().decode(model.tokenizerFiles.get('tokenizer_config.json'))).eos_token,
    ).toBe('</s>');
    await model.close();
  });

  it('has the rows of queries and keys in the order of Hugging Face, and the others as stored', async () => {
    const source = craft();
    const model = await openGgufModel(source);
    const original = await openGguf(source);
    const rowOrder = async (name: string, ggufName: string) => {
      const bytes = await model.readBytes(name);
      const before = await original.readBytes(ggufName);
      const row = (from: Uint8Array, i: number) => from.subarray(i * 32, (i + 1) * 32).join();
      const rows = Array.from({ length: before.length / 32 }, (_, i) => row(before, i));
      expect((await model.readFloat32(name)).buffer).toEqual(bytes.buffer);
      const pieces: number[] = [];
      for await (const piece of model.readPieces(name)) pieces.push(...piece);
      expect(pieces).toEqual([...bytes]);
      const someRows = await model.readFloat32(name, { rows: { first: 1, count: 2 } });
      expect(new Uint8Array(someRows.buffer)).toEqual(bytes.slice(32, 3 * 32));
      return rows.map((_, i) => rows.indexOf(row(bytes, i)));
    };
    // 32 bytes a row and a data section that counts up to 255: eight rows differ.
    expect(await rowOrder('model.layers.0.self_attn.q_proj.weight', 'blk.0.attn_q.weight')).toEqual([
      0, 2, 1, 3, 4, 6, 5, 7,
    ]);
    expect(await rowOrder('model.layers.0.self_attn.k_proj.weight', 'blk.0.attn_k.weight')).toEqual([
      0, 2, 1, 3,
    ]);
    expect(await rowOrder('model.layers.0.self_attn.v_proj.weight', 'blk.0.attn_v.weight')).toEqual([
      0, 1, 2, 3,
    ]);
  });

  const { 'blk.0.ffn_up.weight': _, ...incomplete } = shapes;
  const wideShapes = Object.fromEntries(
    Object.entries(shapes).map(([name, sizes]) => [
      name,
      sizes.map((size) => (size === 8 || size === 12 ? 32 : size)),
    ]),
  );
  it.each([
    [
      'another architecture',
      craft({ 'general.architecture': value.string('mamba') }),
      UnsupportedError,
      /general.architecture is "mamba". Known: .*llama/,
    ],
    ['a part of several', craft({ 'split.count': value.u32(2) }), UnsupportedError, 'one of 2 files'],
    [
      'scaled rotary embeddings',
      craft({ 'llama.rope.scaling.type': value.string('su2') }),
      UnsupportedError,
      'llama.rope.scaling.type is "su2". Known: none, linear, yarn, longrope.',
    ],
    [
      'factors of another number of rotary frequencies',
      craft({}, { ...shapes, 'rope_freqs.weight': [3] }),
      MalformedFileError,
      'short_factor is a list, not 2 positive numbers',
    ],
    [
      'more factors than a head can have',
      craft({}, { ...shapes, 'rope_freqs.weight': [2 ** 18] }),
      MalformedFileError,
      /"rope_freqs.weight": the factors of rotary frequencies have 1048576 bytes/,
    ],
    [
      'partial rotary embeddings',
      craft({ 'llama.rope.dimension_count': value.u32(2) }),
      UnsupportedError,
      'rope.dimension_count is 2',
    ],
    [
      'biases',
      craft({}, { ...shapes, 'blk.0.attn_q.bias': [8] }),
      UnsupportedError,
      'tensor "model.layers.0.self_attn.q_proj.bias"',
    ],
    [
      'weights that cannot be read',
      craft(
        { 'llama.embedding_length': value.u32(32), 'llama.feed_forward_length': value.u32(32) },
        wideShapes,
        9,
      ),
      UnsupportedError,
      'weights of type Q8_1',
    ],
    [
      'a width beyond 2^53',
      craft({ 'llama.embedding_length': [10, u64(2n ** 63n)] }),
      MalformedFileError,
      'llama.embedding_length is 9223372036854775808, not a positive integer',
    ],
    [
      'no width',
      craft({ 'llama.embedding_length': undefined }),
      MalformedFileError,
      'llama.embedding_length is missing',
    ],
    [
      'a missing tensor',
      craft({}, incomplete),
      TensorMismatchError,
      'mlp.up_proj.weight": the tensor is missing',
    ],
    [
      'another shape',
      craft({}, { ...shapes, 'output_norm.weight': [4] }),
      TensorMismatchError,
      'expected the shape [8], found [4]',
    ],
    [
      'another tokenizer',
      craft({ 'tokenizer.ggml.pre': value.string('bloom') }),
      UnsupportedError,
      '"bloom"',
    ],
  ] as const)('is refused with %s', async (_case, source, error, message) => {
    let closed = 0;
    const counting = { ...source, close: async () => void closed++ };
    const opening = openGgufModel(counting);
    await expect(opening).rejects.toThrow(error);
    await expect(opening).rejects.toThrow(message);
    expect(closed).toBe(1);
  });

  it('opens as a Hugging Face directory when it is written as one', async () => {
    const model = await openGgufModel(craft());
    const tensors = await Promise.all(
      model.tensorNames.map(async (name) => ({ name, values: await model.readFloat32(name) })),
    );
    const header = serializeSafetensorsHeader(
      model.tensorNames.map((name) => ({ name, dtype: 'F32', shape: model.tensorInfo(name).shape })),
    );
    const weights = new Uint8Array(header.fileSize);
    weights.set(header.bytes);
    for (const { name, begin } of header.order) {
      const { values } = tensors.find((tensor) => tensor.name === name)!;
      weights.set(new Uint8Array(values.buffer), header.bytes.length + begin);
    }
    const files = new Map<string, Uint8Array>([
      ...model.tokenizerFiles,
      ['config.json', new TextEncoder().encode(JSON.stringify(model.configJson))],
      ['model.safetensors', weights],
    ]);
    const copy = await openModelDirectory({
      name: 'copy',
      open: async (name) =>
        files.has(name) ? memorySource(Uint8Array.from(files.get(name)!), name) : undefined,
    });
    expect(copy.config).toEqual(model.config);
    expect(copy.tokenizer.encode('ab</s>a')).toEqual(model.tokenizer.encode('ab</s>a'));
    for (const { name, values } of tensors) expect(await copy.readFloat32(name)).toEqual(values);
  });

  it('leaves names alone that Hugging Face does not have', async () => {
    const model = await openGgufModel(craft());
    const nameOf = (name: string) => huggingFaceTensorName(name, llama.layout(model.config));
    expect(nameOf('output.weight')).toBe('lm_head.weight');
    expect(nameOf('blk.12.ffn_norm.weight')).toBe('model.layers.12.post_attention_layernorm.weight');
    for (const name of ['blk.1.constructor.weight', 'constructor.weight', 'v.patch_embd.weight']) {
      expect(nameOf(name)).toBe(name);
    }
  });
});

describe.skipIf(!existsSync(smollm2))('SmolLM2 in Q4_1', () => {
  const golden = jsonFixture<{
    rows: Record<string, Record<string, string>>;
    tensors: Record<string, string>;
  }>('smollm2.json');

  it('has its config', async () => {
    const model = await openModel(smollm2);
    expect(model.config).toMatchObject({
      hiddenSize: 576,
      layers: 30,
      heads: 9,
      keyValueHeads: 3,
      headSize: 64,
    });
    expect(model.config).toMatchObject({
      normEpsilon: 1e-5,
      ropeTheta: 100000,
      contextLength: 8192,
      tiedEmbeddings: true,
    });
    expect(model.fileBytes).toBe(98362432);
    expect(model.name).toBe('SmolLM2-135M-Instruct.Q4_1');
    await model.close();
  });

  it('has the rows that gguf-py reads', async () => {
    const source = await openFileSource(smollm2);
    const gguf = await openGguf(source);
    for (const [name, rows] of Object.entries(golden.rows)) {
      const columns = gguf.tensors.get(name)!.shape.at(-1)!;
      const values = await gguf.readFloat32(name);
      for (const [row, hash] of Object.entries(rows)) {
        const start = Number(row) * columns;
        expect(sha256(values.slice(start, start + columns)), `${name}, row ${row}`).toBe(hash);
      }
    }
    await source.close();
  });

  it('has the queries, keys and values that transformers reads', async () => {
    const model = await openModel(smollm2);
    for (const [name, hash] of Object.entries(golden.tensors)) {
      expect(sha256(await model.readFloat32(name)), name).toBe(hash);
    }
    await model.close();
  });
});
