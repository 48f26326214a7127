import { fileURLToPath } from 'node:url';
import { createKernels } from '@lbs/kernels';
import type { ModelSource } from '@lbs/model-loaders';
import { openModel } from '@lbs/model-loaders/node';
import { afterAll, describe, expect, test } from 'vitest';
import { loadDecoder } from '../decoder/decoder.js';
import type { BlockSequence, LoadedBlock } from './calibration-block.js';
import { type BlockwiseModel, openCalibrationModel } from './calibration-model.js';

const open = (name: string) =>
  openModel(fileURLToPath(new URL(`../../../../datasets/${name}/`, import.meta.url)));
const tiny = await open('tiny-lm');
const reference = await open('reference-lm');
afterAll(async () => {
  await tiny.close();
  await reference.close();
});

const tokensOf = (count: number, step: number) => Array.from({ length: count }, (_, i) => (i * step) % 512);

const sequenceOf = async (model: BlockwiseModel, tokens: readonly number[]): Promise<BlockSequence> => ({
  hidden: (await model.embed([tokens]))[0]!,
  input: new Float32Array(0),
});

/** Takes the sequences through all blocks, every stage of all of them before the next. */
async function runBlocks(
  model: BlockwiseModel,
  texts: readonly (readonly number[])[],
  onBlock?: (block: LoadedBlock) => Promise<void>,
): Promise<Float32Array[]> {
  const sequences = await Promise.all(texts.map((tokens) => sequenceOf(model, tokens)));
  for (let index = 0; index < model.blocks; index++) {
    const block = await model.loadBlock(index);
    await onBlock?.(block);
    for (const sequence of sequences) block.begin(sequence);
    for (const stage of block.stages.keys()) for (const sequence of sequences) block.advance(stage, sequence);
    block.release();
  }
  return sequences.map(({ hidden }) => hidden);
}

/** Final norm and head alone: a decoder without blocks, whose embedding is the hidden states. */
async function logitsOf(source: ModelSource, hidden: Float32Array): Promise<Float32Array> {
  const { config } = source;
  const { hiddenSize, vocabularySize } = config;
  const head = config.tiedEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight';
  const embedding = new Float32Array(vocabularySize * hiddenSize);
  embedding.set(hidden);
  const decoder = await loadDecoder(
    {
      ...source,
      config: { ...config, layers: 0, tiedEmbeddings: false },
      async readFloat32(name) {
        if (name === 'model.embed_tokens.weight') return embedding;
        return source.readFloat32(name === 'lm_head.weight' ? head : name);
      },
    },
    { contextLength: 512 },
  );
  const tokens = Array.from({ length: hidden.length / hiddenSize }, (_, i) => i);
  return decoder.logits(tokens, 0);
}

/** The same bits, compared fast. */
const sameBits = (a: Float32Array, b: Float32Array) =>
  expect(Buffer.compare(new Uint8Array(a.buffer), new Uint8Array(b.buffer))).toBe(0);

describe.each([
  ['tiny-lm', tiny],
  ['reference-lm', reference],
])('%s block by block', (_, source) => {
  const contextLength = 300;
  const texts = [tokensOf(300, 37), tokensOf(1, 1), tokensOf(129, 11), tokensOf(40, 5)];

  test('has the logits of the decoder, to the bit', async () => {
    const decoder = await loadDecoder(source, { contextLength });
    const model = await openCalibrationModel(source, { contextLength });
    const results = await runBlocks(model, texts);
    for (const [i, hidden] of results.entries()) {
      decoder.clear();
      sameBits(await logitsOf(source, hidden), await decoder.logits(texts[i]!, 0));
    }
  });

  test('computes the same with the same weights put in place', async () => {
    const model = await openCalibrationModel(source, { contextLength });
    const expected = await runBlocks(model, texts.slice(2));
    const replaced = await runBlocks(model, texts.slice(2), async (block) => {
      for (const module of block.stages.flatMap(({ modules }) => modules)) {
        block.replaceWeights(module, await source.readFloat32(`${module}.weight`));
      }
    });
    for (const [i, hidden] of replaced.entries()) sameBits(hidden, expected[i]!);
  });
});

test('computes with other weights once they are in place', async () => {
  const changed = (name: string) => /layers\.1\..*(k|o|up|down)_proj/.test(name);
  const round = (weights: Float32Array<ArrayBuffer>) => weights.map((weight) => Math.round(16 * weight) / 16);
  const rounded: ModelSource = {
    ...tiny,
    async readFloat32(name) {
      const weights = await tiny.readFloat32(name);
      return changed(name) ? round(weights) : weights;
    },
  };
  const texts = [tokensOf(40, 37)];
  const [hidden] = await runBlocks(await openCalibrationModel(tiny), texts, async (block) => {
    for (const module of block.stages.flatMap(({ modules }) => modules).filter(changed)) {
      block.replaceWeights(module, round(await tiny.readFloat32(`${module}.weight`)));
    }
  });
  const decoder = await loadDecoder(rounded);
  sameBits(await logitsOf(tiny, hidden!), await decoder.logits(texts[0]!, 0));
});

test('shows what each linear layer reads', async () => {
  const tokens = tokensOf(7, 37);
  const model = await openCalibrationModel(tiny);
  const { hiddenSize, normEpsilon } = tiny.config;
  const block = await model.loadBlock(0);
  const prefix = 'model.layers.0';
  const each = (count: number) => Uint32Array.from({ length: count }, (_, i) => i);
  const producer = (module: string, rows: Uint32Array) => ({ module: `${prefix}.${module}`, rows });
  expect(block.stages).toEqual([
    {
      modules: ['q', 'k', 'v'].map((name) => `${prefix}.self_attn.${name}_proj`),
      columns: 96,
      producer: producer('input_layernorm', each(96)),
      writesResidual: false,
    },
    {
      modules: [`${prefix}.self_attn.o_proj`],
      columns: 96,
      // Three heads of queries, one of values.
      producer: producer(
        'self_attn.v_proj',
        each(96).map((i) => i % 32),
      ),
      writesResidual: true,
    },
    {
      modules: [`${prefix}.mlp.gate_proj`, `${prefix}.mlp.up_proj`],
      columns: 96,
      producer: producer('post_attention_layernorm', each(96)),
      writesResidual: false,
    },
    {
      modules: [`${prefix}.mlp.down_proj`],
      columns: 160,
      producer: producer('mlp.up_proj', each(160)),
      writesResidual: true,
    },
  ]);

  const norm = async (hidden: Float32Array, name: string) => {
    const weight = await tiny.readFloat32(`${prefix}.${name}.weight`);
    return hidden.map((value, i) => {
      const row = hidden.subarray(i - (i % hiddenSize), i - (i % hiddenSize) + hiddenSize);
      const meanSquare = row.reduce((sum, x) => sum + x * x, 0) / hiddenSize;
      return (value / Math.sqrt(meanSquare + normEpsilon)) * weight[i % hiddenSize]!;
    });
  };
  const linear = async (input: Float32Array, name: string) => {
    const weights = await tiny.readFloat32(`${prefix}.${name}.weight`);
    const columns = input.length / tokens.length;
    const rows = weights.length / columns;
    return Float32Array.from({ length: tokens.length * rows }, (_, i) => {
      const x = input.subarray(Math.floor(i / rows) * columns, (Math.floor(i / rows) + 1) * columns);
      return x.reduce((sum, value, j) => sum + value * weights[(i % rows) * columns + j]!, 0);
    });
  };
  const plus = (a: Float32Array, b: Float32Array) => a.map((value, i) => value + b[i]!);
  const closeTo = (actual: Float32Array, expected: Float32Array) => {
    expect(actual.length).toBe(expected.length);
    const farthest = actual.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0);
    expect(farthest).toBeLessThan(
      1e-5 * expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0),
    );
  };

  const embedding = await tiny.readFloat32('model.embed_tokens.weight');
  const sequence = await sequenceOf(model, tokens);
  for (const [i, token] of tokens.entries()) {
    const row = embedding.slice(token * hiddenSize, (token + 1) * hiddenSize);
    expect(sequence.hidden.slice(i * hiddenSize, (i + 1) * hiddenSize)).toEqual(row);
  }
  const embedded = sequence.hidden.slice();
  block.begin(sequence);
  closeTo(sequence.input, await norm(embedded, 'input_layernorm'));

  // The first token sees only itself: what its heads attend to is its own value.
  const value = await linear(sequence.input, 'self_attn.v_proj');
  block.advance(0, sequence);
  const { headSize, heads } = tiny.config;
  for (let head = 0; head < heads; head++) {
    closeTo(sequence.input.slice(head * headSize, (head + 1) * headSize), value.slice(0, headSize));
  }
  expect(sequence.hidden).toEqual(embedded);

  const attended = plus(embedded, await linear(sequence.input, 'self_attn.o_proj'));
  block.advance(1, sequence);
  closeTo(sequence.hidden, attended);
  closeTo(sequence.input, await norm(attended, 'post_attention_layernorm'));

  const up = await linear(sequence.input, 'mlp.up_proj');
  const gated = (await linear(sequence.input, 'mlp.gate_proj')).map(
    (x, i) => (x / (1 + Math.exp(-x))) * up[i]!,
  );
  block.advance(2, sequence);
  closeTo(sequence.input, gated);

  const behind = plus(sequence.hidden, await linear(gated, 'mlp.down_proj'));
  block.advance(3, sequence);
  closeTo(sequence.hidden, behind);
  block.release();
});

test('a sequence keeps its memory from stage to stage, and loses nothing of it', async () => {
  const model = await openCalibrationModel(reference);
  const block = await model.loadBlock(0);
  // More tokens than go through a block together: the last stage reads rows that are wider than those before.
  const tokens = Array.from({ length: 200 }, (_, i) => (i * 37) % 512);
  const [hidden] = await model.embed([tokens]);
  const kept = { hidden: hidden!.slice(), input: new Float32Array() };
  const copied = { hidden: hidden!.slice(), input: new Float32Array() };
  block.begin(kept);
  block.begin(copied);
  const { buffer } = kept.input;
  for (const stage of block.stages.keys()) {
    block.advance(stage, kept);
    copied.input = copied.input.slice();
    block.advance(stage, copied);
    expect(kept.input.buffer).toBe(buffer);
    expect(kept.input).toEqual(copied.input);
  }
  expect(kept.hidden).toEqual(copied.hidden);
});

test('memory of the caller is not written beyond its array', async () => {
  const model = await openCalibrationModel(tiny);
  const block = await model.loadBlock(0);
  const memory = new Float32Array(1000).fill(7);
  const sequence = { hidden: (await model.embed([[1, 2, 3]]))[0]!, input: memory.subarray(0, 3 * 96) };
  block.begin(sequence);
  expect(memory.every((value) => value === 7)).toBe(true);
});

describe('memory', () => {
  test('a released block leaves nothing behind, nor does one that could not be loaded', async () => {
    const kernels = await createKernels();
    const model = await openCalibrationModel(tiny, { kernels });
    const before = kernels.bytes;
    const block = await model.loadBlock(0);
    const loaded = kernels.bytes;
    const module = block.stages[0]!.modules[0]!;
    block.replaceWeights(module, await tiny.readFloat32(`${module}.weight`));
    expect(kernels.bytes).toBe(loaded);
    expect(loaded).toBeGreaterThan(before + 4 * 3 * 96 * 160);
    block.release();
    expect(kernels.bytes).toBe(before);
    await expect(model.loadBlock(1, { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow(
      'enough',
    );
    expect(kernels.bytes).toBe(before);
    const next = await model.loadBlock(1);
    block.release();
    expect(kernels.bytes).toBe(loaded);
    next.release();
  });

  test('there is one block at a time', async () => {
    const model = await openCalibrationModel(tiny);
    const loading = model.loadBlock(0);
    await expect(model.loadBlock(1)).rejects.toThrow(/block 0 is still in memory.*Release/);
    (await loading).release();
    (await model.loadBlock(1)).release();
  });

  test('a released block is not used again', async () => {
    const model = await openCalibrationModel(tiny);
    const block = await model.loadBlock(1);
    const sequence = await sequenceOf(model, [1]);
    block.begin(sequence);
    block.release();
    expect(() => block.begin(sequence)).toThrow(/block 1 was released/);
    expect(() => block.advance(0, sequence)).toThrow(/block 1 was released/);
    expect(() => block.replaceWeights('model.layers.1.mlp.up_proj', new Float32Array(96 * 160))).toThrow(
      /block 1 was released/,
    );
  });

  test('opening stops when aborted', async () => {
    await expect(openCalibrationModel(tiny, { signal: AbortSignal.abort() })).rejects.toThrow(/abort/);
  });

  test('embedding stops when aborted', async () => {
    const model = await openCalibrationModel(tiny);
    await expect(model.embed([[1]], { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow(
      'enough',
    );
  });
});

describe('refuses', async () => {
  const model = await openCalibrationModel(tiny, { contextLength: 8 });
  const block = await model.loadBlock(0);

  test.each([
    [[], /no tokens/],
    [[512], /token 512 is outside of the vocabulary of 512/],
    [tokensOf(9, 1), /9 tokens do not fit the context of 8.*contextLength/],
  ])('the tokens %j', async (tokens, message) => {
    await expect(model.embed([tokens])).rejects.toThrow(message);
  });

  test.each([-1, 2, 0.5])('the block %s', async (index) => {
    await expect(model.loadBlock(index)).rejects.toThrow(`block ${index} is not one of the 2 blocks`);
  });

  test.each([
    [0, /0 values are not the hidden states/],
    [95, /95 values are not the hidden states of tokens with 96 each/],
    [9 * 96, /9 tokens do not fit the context of 8/],
  ])('%i values as hidden states', (length, message) => {
    const sequence = { hidden: new Float32Array(length), input: new Float32Array(length) };
    expect(() => block.begin(sequence)).toThrow(message);
    expect(() => block.advance(0, sequence)).toThrow(message);
  });

  test('a stage that there is not, or whose input the sequence does not hold', async () => {
    const sequence = await sequenceOf(model, [1, 2]);
    expect(() => block.advance(0, sequence)).toThrow(/input has 0 values, not 2 x 96.*begin/);
    block.begin(sequence);
    expect(() => block.advance(3, sequence)).toThrow(/input has 192 values, not 2 x 160/);
    for (const stage of [-1, 4, 0.5]) {
      expect(() => block.advance(stage, sequence)).toThrow(`has the stages 0 to 3, not ${stage}`);
    }
  });

  test('weights of another module or size', () => {
    const weights = new Float32Array(96 * 160);
    expect(() => block.replaceWeights('model.layers.1.mlp.up_proj', weights)).toThrow(
      /"model.layers.1.mlp.up_proj" is not a linear layer of block 0.*layers.0.self_attn.q_proj/,
    );
    expect(() => block.replaceWeights('model.layers.0.mlp.up_proj', weights.subarray(1))).toThrow(
      '15360 weights, not 15359',
    );
  });
});

test('tells how much attention each token receives', async () => {
  const model = await openCalibrationModel(reference, { contextLength: 200 });
  const { heads } = reference.config;
  const tokens = tokensOf(150, 37);
  const sequence = await sequenceOf(model, tokens);
  const block = await model.loadBlock(0);
  block.begin(sequence);
  const before = { hidden: sequence.hidden.slice(), input: sequence.input.slice() };
  const received = block.attentionReceived(sequence);
  expect(sequence).toEqual(before);
  expect(received).toHaveLength(tokens.length);
  // Each token gives attention of 1 in every head, only to itself and those before it.
  const total = received.reduce((sum, share) => sum + share, 0);
  expect(total / (heads * tokens.length)).toBeCloseTo(1, 4);
  expect(received[149]).toBeLessThanOrEqual(heads);
  const shorter = await sequenceOf(model, tokens.slice(0, 149));
  const without = block.attentionReceived(shorter);
  for (const [i, share] of without.entries()) expect(received[i]).toBeGreaterThanOrEqual(share - 1e-4);
  block.release();
});

test.each([
  ['tiny-lm', tiny],
  ['reference-lm', reference],
])('%s reads inputs in proportion to the rows of what gives them', async (_, source) => {
  const tokens = tokensOf(5, 37);
  const inputsOf = async (of: ModelSource, stage: number) => {
    const model = await openCalibrationModel(of);
    const block = await model.loadBlock(0);
    const sequence = await sequenceOf(model, tokens);
    block.begin(sequence);
    for (let i = 0; i < stage; i++) block.advance(i, sequence);
    return { input: sequence.input.slice(), ...block.stages[stage]! };
  };
  for (const stage of [0, 1, 2, 3]) {
    const { input, producer, columns } = await inputsOf(source, stage);
    const factor = (row: number) => 2 ** (row % 5) / 4;
    const name = `${producer!.module}.weight`;
    const scaled: ModelSource = {
      ...source,
      async readFloat32(tensor, options) {
        const weights = await source.readFloat32(tensor, options);
        if (tensor !== name) return weights;
        const { shape } = source.tensorInfo(name);
        const width = weights.length / shape[0]!;
        return weights.map((weight, i) => weight * factor(Math.floor(i / width)));
      },
    };
    const after = await inputsOf(scaled, stage);
    sameBits(
      after.input,
      input.map((value, i) => value * factor(producer!.rows[i % columns]!)),
    );
  }
});

test('embeds with the rows of the embedding, read a few at a time', async () => {
  const embedding = await tiny.readFloat32('model.embed_tokens.weight');
  const counts: number[] = [];
  const vocabularySize = 3000;
  const repeated: ModelSource = {
    ...tiny,
    config: { ...tiny.config, vocabularySize },
    async readFloat32(_, options) {
      const { first, count } = options!.rows!;
      counts.push(count);
      const values = new Float32Array(96 * count);
      for (let row = 0; row < count; row++) {
        const start = 96 * ((first + row) % 512);
        values.set(embedding.subarray(start, start + 96), 96 * row);
      }
      return values;
    },
  };
  const model = await openCalibrationModel(repeated);
  const texts = [[2999, 0, 511, 512], [513], [2999, 2048]];
  const hidden = await model.embed(texts);
  for (const [i, tokens] of texts.entries()) {
    const expected = tokens.flatMap((token) => [
      ...embedding.subarray(96 * (token % 512), 96 * (token % 512) + 96),
    ]);
    expect([...hidden[i]!]).toEqual(expected);
  }
  // Not those from 1024 to 2047.
  expect(counts.sort((a, b) => a - b)).toEqual([3000 - 2048, 1024]);
});
