import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gguf as huggingFaceGguf } from '@huggingface/gguf';
import {
  dequantize,
  FileAccessError,
  InvalidArgumentError,
  int4,
  partSizes,
  type QuantizedMatrix,
  serializeQuantizationConfig,
  storeMatrix,
  UnsupportedError,
} from '@lbs/format';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { referenceModel } from '../fixtures/paths.js';
import { ggufDequantizers } from '../gguf/gguf-dequantize.js';
import { ggufOfModel } from '../gguf/gguf-of-model.js';
import { ggufQuantizers } from '../gguf/gguf-quantize.js';
import type { GgufTypedValue } from '../gguf/gguf-typed-value.js';
import type { ModelSource } from '../model/model-source.js';
import { openModel } from './open-model.js';
import { writeGguf } from './write-gguf.js';
import { writeGgufFile } from './write-gguf-file.js';

let directory: string;
let model: ModelSource;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lbs-gguf-'));
  model = await openModel(referenceModel);
});
afterAll(async () => {
  await model.close();
  await rm(directory, { recursive: true });
});

/** `toEqual` takes minutes for millions of numbers. */
const haveSameBytes = (a: ArrayBufferView, b: ArrayBufferView) =>
  Buffer.compare(
    new Uint8Array(a.buffer, a.byteOffset, a.byteLength),
    new Uint8Array(b.buffer, b.byteOffset, b.byteLength),
  ) === 0;

const texts = ['The old man looked at', '  naïve 你好 😀 123\n\n<|endoftext|>x', "don't"];

describe('the reference model as GGUF', () => {
  it.each(ggufQuantizers.names)('in %s comes back', async (type) => {
    const path = join(directory, `${type}.gguf`);
    const progress: number[] = [];
    const written = await writeGguf(path, model, {
      type,
      onProgress: ({ bytesWritten, bytesTotal }) => progress.push(bytesWritten / bytesTotal),
    });
    expect(written.warnings).toEqual([]);
    expect(progress).toHaveLength(written.tensors);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
    const copy = await openModel(path);
    expect(copy.fileBytes).toBe(written.bytes);
    expect(copy.config).toEqual(model.config);
    expect(copy.tokenizer.vocabularySize).toBe(model.tokenizer.vocabularySize);
    expect(copy.tokenizer.addsBeginningOfSequence).toBe(model.tokenizer.addsBeginningOfSequence);
    for (const text of texts) expect(copy.tokenizer.encode(text)).toEqual(model.tokenizer.encode(text));
    expect([...copy.tensorNames].sort()).toEqual([...model.tensorNames].sort());
    for (const name of model.tensorNames) {
      const { dtype, shape } = copy.tensorInfo(name);
      const isOutput = name === 'model.embed_tokens.weight';
      const isSmall = ggufQuantizers.get(type).blockSize > 1 && type !== 'Q8_0';
      expect(dtype, name).toBe(shape.length === 1 ? 'F32' : isOutput && isSmall ? 'Q8_0' : type);
      const rounded = ggufQuantizers.get(dtype).quantize(await model.readFloat32(name));
      const expected = ggufDequantizers.get(dtype).dequantize(rounded);
      expect(haveSameBytes(await copy.readFloat32(name), expected), name).toBe(true);
    }
    await copy.close();
  });

  it('has the metadata and tensors that @huggingface/gguf reads', async () => {
    const path = join(directory, 'other-reader.gguf');
    await writeGguf(path, model, { type: 'Q4_0' });
    const { metadata, tensorInfos } = await huggingFaceGguf(path, { allowLocalFile: true });
    expect(metadata).toMatchObject({
      version: 3,
      'general.architecture': 'llama',
      'general.file_type': 2,
      'general.quantization_version': 2,
      'llama.block_count': 6,
      'llama.attention.head_count_kv': 2,
      'tokenizer.ggml.model': 'gpt2',
      'tokenizer.ggml.pre': 'gpt-2',
      'tokenizer.ggml.bos_token_id': 0,
      'tokenizer.ggml.unknown_token_id': 0,
    });
    const types = (metadata as Record<string, unknown>)['tokenizer.ggml.token_type'] as number[];
    expect([types.length, types[0], types[1]]).toEqual([4096, 3, 1]);
    expect(tensorInfos.find(({ name }) => name === 'blk.5.ffn_down.weight')).toMatchObject({
      shape: [768n, 256n],
      dtype: 2,
    });
    expect(tensorInfos.some(({ name }) => name === 'output.weight')).toBe(false);
  });

  it('is the same each time', async () => {
    const [first, second] = await Promise.all([0, 1].map(() => ggufOfModel(model, { type: 'Q8_0' })));
    expect(first!.metadata).toEqual(second!.metadata);
    expect(first!.tensors.map(({ name }) => name)).toEqual(second!.tensors.map(({ name }) => name));
  });
});

describe('a changed model', () => {
  const change = (changes: Partial<ModelSource>): ModelSource => ({ ...model, ...changes });
  const changedTokenizer = (edit: (json: Record<string, unknown>) => void) => {
    const json = JSON.parse(new TextDecoder().decode(model.tokenizerFiles.get('tokenizer.json')));
    edit(json);
    return change({
      tokenizerFiles: new Map([
        ...model.tokenizerFiles,
        ['tokenizer.json', new TextEncoder().encode(JSON.stringify(json))],
      ]),
    });
  };

  it('is refused in a type that is not known', async () => {
    await expect(ggufOfModel(model, { type: 'Q4_K' })).rejects.toThrow(InvalidArgumentError);
  });

  it.each<[string, Partial<ModelSource['config']>, string]>([
    ['an architecture that llama.cpp does not have', { architecture: 'opt' }, 'architecture opt cannot'],
    [
      'a window that Llama does not have',
      { architecture: 'mistral', slidingWindow: 64 },
      'slidingWindow is 64',
    ],
    ['biases that the architecture does not have there', { feedForwardBias: true }, 'feedForwardBias'],
    [
      'a factor that its architecture does not have',
      { embeddingScale: 2 },
      'embeddingScale is 2: it would be read as missing',
    ],
    [
      'a scaling that llama.cpp does not have',
      { ropeScaling: { type: 'dynamic', factor: 2, originalContextLength: 256 } },
      'ropeScaling is an object',
    ],
  ])('is refused with %s', async (_, changes, message) => {
    const changed = change({ config: { ...model.config, ...changes } });
    await expect(ggufOfModel(changed, { type: 'F16' })).rejects.toThrow(UnsupportedError);
    await expect(ggufOfModel(changed, { type: 'F16' })).rejects.toThrow(message);
  });

  it('is a Llama where llama.cpp has no other name for it', async () => {
    const config = { ...model.config, architecture: 'mistral' };
    const { metadata, tensors } = await ggufOfModel(change({ config }), { type: 'F16' });
    expect(metadata.get('general.architecture')).toEqual({ type: 'string', value: 'llama' });
    const llama = await ggufOfModel(model, { type: 'F16' });
    expect(tensors.map(({ name }) => name)).toEqual(llama.tensors.map(({ name }) => name));
  });

  it('has the rotary factors that stand for the rule of Llama 3', async () => {
    const ropeScaling = {
      type: 'llama3',
      factor: 8,
      lowFrequencyFactor: 1,
      highFrequencyFactor: 4,
      originalContextLength: 256,
    } as const;
    const { tensors } = await ggufOfModel(change({ config: { ...model.config, ropeScaling } }), {
      type: 'F16',
    });
    const factors = tensors.find(({ name }) => name === 'rope_freqs.weight')!;
    expect(factors).toMatchObject({ type: 'F32', shape: [32] });
    for await (const bytes of factors.bytes()) {
      const values = new Float32Array(bytes.buffer);
      // Wavelengths below 64 stay, those above 256 are stretched; and between the two it goes up.
      expect([values[0], values[8], values[31]]).toEqual([1, 1, 8]);
      expect([...values]).toEqual([...values].sort((a, b) => a - b));
      expect(new Set(values).size).toBeGreaterThan(2);
    }
  });

  it.each<[string, (json: Record<string, unknown>) => void, string]>([
    [
      'of another kind',
      (json) => Object.assign(json, { model: { type: 'Unigram', vocab: [] } }),
      '"Unigram"',
    ],
    [
      'with an unknown pre-tokenizer',
      (json) => Object.assign(json, { pre_tokenizer: { type: 'Whitespace' } }),
      'gpt-2',
    ],
    [
      'with a space in a merge',
      (json) => Object.assign(json, { model: { ...(json['model'] as object), merges: [['a b', 'c']] } }),
      '"a b c"',
    ],
  ])('is refused with a tokenizer %s', async (_, edit, message) => {
    const changed = changedTokenizer(edit);
    await expect(ggufOfModel(changed, { type: 'F16' })).rejects.toThrow(UnsupportedError);
    await expect(ggufOfModel(changed, { type: 'F16' })).rejects.toThrow(message);
  });

  it('has tokens for all rows of its embedding, and the chat template', async () => {
    const tokenizerFiles = new Map([
      ...model.tokenizerFiles,
      ['chat_template.jinja', new TextEncoder().encode('{{ messages }}')],
    ]);
    const config = { ...model.config, vocabularySize: 4100 };
    const { metadata } = await ggufOfModel(change({ config, tokenizerFiles }), { type: 'F16' });
    const values = (key: string) => {
      const value = metadata.get(key);
      return value?.type === 'array' ? value.values.slice(4096) : value?.value;
    };
    expect(values('tokenizer.ggml.tokens')).toEqual(['[PAD4096]', '[PAD4097]', '[PAD4098]', '[PAD4099]']);
    expect(values('tokenizer.ggml.token_type')).toEqual([5, 5, 5, 5]);
    expect(values('tokenizer.chat_template')).toBe('{{ messages }}');
  });

  it('is refused in blocks, not as numbers, when a weight is no finite number', async () => {
    const changed = change({
      async readFloat32(name, options) {
        const values = await model.readFloat32(name, options);
        if (name === 'model.layers.3.mlp.up_proj.weight') values[5] = Number.NaN;
        return values;
      },
    });
    const path = join(directory, 'not-finite.gguf');
    const writing = writeGguf(path, changed, { type: 'Q4_0' });
    await expect(writing).rejects.toThrow(InvalidArgumentError);
    await expect(writing).rejects.toThrow('tensor "model.layers.3.mlp.up_proj.weight": a weight is NaN');
    await writeGguf(path, changed, { type: 'F32' });
    const copy = await openModel(path);
    expect((await copy.readFloat32('model.layers.3.mlp.up_proj.weight'))[5]).toBeNaN();
    await copy.close();
  });

  it('is F16 where rows are no whole blocks, and says so', async () => {
    const config = { ...model.config, intermediateSize: 770 };
    const { tensors, warnings } = await ggufOfModel(change({ config }), { type: 'Q4_0' });
    expect(tensors.find(({ name }) => name === 'blk.0.ffn_down.weight')?.type).toBe('F16');
    expect(tensors.find(({ name }) => name === 'blk.0.ffn_up.weight')?.type).toBe('Q4_0');
    expect(warnings).toEqual([
      '6 matrices such as model.layers.0.mlp.down_proj.weight are F16, because their rows are no whole blocks of 32 as Q4_0 needs.',
    ]);
  });
});

describe('a model that is quantized already', () => {
  it('is copied in its type, and rounded again with a warning in another', async () => {
    const [q4, copy] = ['q4.gguf', 'copy.gguf'].map((name) => join(directory, name));
    await writeGguf(q4!, model, { type: 'Q4_1' });
    const source = await openModel(q4!);
    expect(await writeGguf(copy!, source, { type: 'Q4_1' })).toMatchObject({ warnings: [] });
    const again = await openModel(copy!);
    for (const name of source.tensorNames)
      expect(haveSameBytes(await again.readBytes(name), await source.readBytes(name)), name).toBe(true);
    const { warnings } = await ggufOfModel(source, { type: 'IQ4_NL' });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(
      '42 matrices are quantized as Q4_1 already and are rounded again to IQ4_NL',
    );
    expect((await ggufOfModel(source, { type: 'F32' })).warnings).toEqual([]);
    await source.close();
    await again.close();
  });

  it('is dequantized where this toolkit quantized it', async () => {
    const name = 'model.layers.2.self_attn.q_proj';
    const [rows, columns] = model.tensorInfo(`${name}.weight`).shape as [number, number];
    const sizes = partSizes(int4, rows, columns);
    const matrix: QuantizedMatrix = {
      format: int4,
      rows,
      columns,
      packed: Uint8Array.from({ length: sizes.packed }, (_, i) => i * i),
      shared: new Uint8Array(sizes.shared),
      scales: new Uint8Array(sizes.scales).fill(0x2c),
      scaleBases: new Uint8Array(sizes.scaleBases),
    };
    const parts = new Map(storeMatrix(name, matrix).map((part) => [part.name, part]));
    const quantized: ModelSource = {
      ...model,
      configJson: {
        ...model.configJson,
        quantization_config: serializeQuantizationConfig({
          groups: [{ targets: [name], format: int4 }],
          provenance: { tool: 'lbs' },
        }),
      },
      has: (tensor) => parts.has(tensor) || (tensor !== `${name}.weight` && model.has(tensor)),
      tensorInfo: (tensor) => {
        const part = parts.get(tensor);
        return part ? { ...part, byteLength: part.bytes.length } : model.tensorInfo(tensor);
      },
      readBytes: async (tensor, options) => {
        const part = parts.get(tensor);
        return part ? Uint8Array.from(part.bytes) : model.readBytes(tensor, options);
      },
    };
    const path = join(directory, 'from-lbs.gguf');
    const { warnings } = await writeGguf(path, quantized, { type: 'Q8_0' });
    expect(warnings).toEqual([expect.stringContaining(`1 matrices are quantized as ${int4.name} already`)]);
    await writeGguf(path, quantized, { type: 'F32' });
    const copy = await openModel(path);
    expect(haveSameBytes(await copy.readFloat32(`${name}.weight`), dequantize(matrix))).toBe(true);
    await copy.close();
  });
});

describe('a model in several files', () => {
  it('opens from the first, with the others beside it', async () => {
    const { metadata, tensors } = await ggufOfModel(model, { type: 'BF16' });
    const split = (no: number): [string, GgufTypedValue][] => [
      ['split.no', { type: 'uint16', value: no }],
      ['split.count', { type: 'uint16', value: 2 }],
      ['split.tensors.count', { type: 'int32', value: tensors.length }],
    ];
    const place = (no: number) => join(directory, `split-0000${no + 1}-of-00002.gguf`);
    await writeGgufFile(place(0), new Map([...metadata, ...split(0)]), tensors.slice(0, 20));
    const opening = openModel(place(0));
    await expect(opening).rejects.toThrow(FileAccessError);
    await expect(opening).rejects.toThrow('split-00002-of-00002.gguf: the file is missing');
    await writeGgufFile(place(1), new Map(split(1)), tensors.slice(20));
    const copy = await openModel(place(0));
    expect(copy.name).toBe('split');
    expect(copy.config).toEqual(model.config);
    expect(copy.weightFiles.map(({ name }) => name)).toEqual([place(0), place(1)]);
    expect(copy.fileBytes).toBe((await stat(place(0))).size + (await stat(place(1))).size);
    for (const name of model.tensorNames) {
      expect(haveSameBytes(await copy.readFloat32(name), await model.readFloat32(name)), name).toBe(true);
    }
    await copy.close();
    for (const { name, read } of copy.weightFiles) await expect(read(0, 1), name).rejects.toThrow();
  });
});

describe('a file', () => {
  const tensor = { name: 't', type: 'F32', shape: [2] };

  it('takes bytes in pieces, and is refused when they are too few or too many', async () => {
    const path = join(directory, 'pieces.gguf');
    const pieces = (...lengths: number[]) =>
      async function* () {
        for (const length of lengths) yield new Uint8Array(length).fill(1);
      };
    await writeGgufFile(path, new Map(), [{ ...tensor, bytes: pieces(3, 5) }]);
    for (const lengths of [[7], [4, 5]]) {
      const writing = writeGgufFile(path, new Map(), [{ ...tensor, bytes: pieces(...lengths) }]);
      await expect(writing).rejects.toThrow(InvalidArgumentError);
    }
  });

  it('appears whole or not at all', async () => {
    const files = await readdir(directory);
    const path = join(directory, 'never.gguf');
    const bytes = () => Promise.reject(new Error('lost'));
    await expect(writeGgufFile(path, new Map(), [{ ...tensor, bytes }])).rejects.toThrow('lost');
    const signal = AbortSignal.abort();
    await expect(writeGguf(path, model, { type: 'F16', signal })).rejects.toThrow('aborted');
    await expect(writeGguf(join(directory, 'no/such.gguf'), model, { type: 'F16' })).rejects.toThrow(
      FileAccessError,
    );
    expect(await readdir(directory)).toEqual(files);
  });
});
