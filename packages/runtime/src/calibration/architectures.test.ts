import { layoutOf, type ModelSource } from '@lbs/model-loaders';
import { describe, expect, test } from 'vitest';
import { loadDecoder } from '../decoder/decoder.js';
import { architectureCases } from '../fixtures/architecture-cases.js';
import { openHashedModel } from '../fixtures/hashed-model.js';
import type { LoadedBlock } from './calibration-block.js';
import { openCalibrationModel } from './calibration-model.js';

/** Hidden states behind the last block. */
async function runBlocks(
  source: ModelSource,
  tokens: readonly number[],
  onBlock: (block: LoadedBlock) => Promise<void> = async () => {},
): Promise<Float32Array> {
  const model = await openCalibrationModel(source, { contextLength: tokens.length });
  const [hidden] = await model.embed([tokens]);
  const sequence = { hidden: hidden!, input: new Float32Array(0) };
  for (let index = 0; index < model.blocks; index++) {
    const block = await model.loadBlock(index);
    await onBlock(block);
    block.begin(sequence);
    for (const stage of block.stages.keys()) block.advance(stage, sequence);
    block.release();
  }
  return sequence.hidden;
}

/** Final norm and head alone: a decoder without blocks, whose embedding is the hidden states and whose positions are 0. */
async function logitsOf(source: ModelSource, hidden: Float32Array): Promise<Float32Array> {
  const { config } = source;
  const layout = layoutOf(config);
  const embedding = new Float32Array(config.vocabularySize * config.hiddenSize);
  embedding.set(hidden);
  const head = `${config.tiedEmbeddings ? layout.embedding : layout.head.module}.weight`;
  const decoder = await loadDecoder(
    {
      ...source,
      config: {
        ...config,
        layers: 0,
        tiedEmbeddings: false,
        ...(config.embeddingScale !== undefined && { embeddingScale: 1 }),
      },
      async readFloat32(name, options) {
        if (name === `${layout.embedding}.weight`) return embedding;
        if (name === `${layout.positions}.weight`) return (await source.readFloat32(name, options)).fill(0);
        return source.readFloat32(name === `${layout.head.module}.weight` ? head : name, options);
      },
    },
    { contextLength: 64 },
  );
  const tokens = Array.from({ length: hidden.length / config.hiddenSize }, (_, i) => i);
  return decoder.logits(tokens, 0);
}

/** What a stage reads in the first block. */
async function inputOf(source: ModelSource, tokens: readonly number[], stage: number): Promise<Float32Array> {
  const model = await openCalibrationModel(source, { contextLength: tokens.length });
  const [hidden] = await model.embed([tokens]);
  const sequence = { hidden: hidden!, input: new Float32Array(0) };
  const block = await model.loadBlock(0);
  block.begin(sequence);
  for (let before = 0; before < stage; before++) block.advance(before, sequence);
  return sequence.input;
}

describe.each(architectureCases)('$name block by block', async ({ config, tensors, tokens }) => {
  const source = await openHashedModel(config, tensors);

  test('has the logits of the decoder, to the bit', async () => {
    const decoder = await loadDecoder(source, { contextLength: tokens.length });
    const hidden = await runBlocks(source, tokens);
    expect(await logitsOf(source, hidden)).toEqual(await decoder.logits(tokens, 0));
  });

  test('computes the same with the same weights put in place', async () => {
    const hidden = await runBlocks(source, tokens, async (block) => {
      for (const module of block.stages.flatMap(({ modules }) => modules)) {
        block.replaceWeights(module, await source.readFloat32(`${module}.weight`));
      }
    });
    expect(hidden).toEqual(await runBlocks(source, tokens));
  });

  test('names what its inputs are proportional to', async () => {
    const model = await openCalibrationModel(source, { contextLength: tokens.length });
    const block = await model.loadBlock(0);
    const named = [...block.stages.entries()].flatMap(([stage, { producer }]) =>
      producer ? [{ stage, producer }] : [],
    );
    for (const { stage, producer } of named) {
      const name = `${producer.module}.weight`;
      const width = source.tensorInfo(name).shape[1] ?? 1;
      // Of two rows the second is doubled, so that a wrong row shows.
      const rowScale = (row: number) => 2 ** (row % 2);
      const scaled: ModelSource = {
        ...source,
        async readFloat32(read, options) {
          const values = await source.readFloat32(read, options);
          if (read !== name) return values;
          return values.map((value, i) => value * rowScale(Math.floor(i / width)));
        },
      };
      const before = await inputOf(source, tokens, stage);
      const { rows } = producer;
      const expected = before.map((value, i) => value * rowScale(rows[i % rows.length]!));
      expect(await inputOf(scaled, tokens, stage)).toEqual(expected);
    }
  });
});

test.each([
  ['llama', [true, true, true, true]],
  ['qwen2', [true, false, true, true]],
  ['gemma2', [false, true, false, true]],
  ['phi3, window', [true, false, true, false]],
  ['gpt2', [false, false, false, false]],
  ['olmo2', [false, true, false, true]],
  ['olmo, clipped, tied', [false, false, false, true]],
])('%s: which inputs are proportional to weights', async (name, expected) => {
  const { config, tensors } = architectureCases.find((model) => model.name === name)!;
  const model = await openCalibrationModel(await openHashedModel(config, tensors));
  const { stages } = await model.loadBlock(0);
  expect(stages.map(({ producer }) => producer !== undefined)).toEqual(expected);
});

test('attention within a window is received within it', async () => {
  const { config, tensors, tokens } = architectureCases.find(({ name }) =>
    name.startsWith('mistral, window'),
  )!;
  const source = await openHashedModel(config, tensors);
  const model = await openCalibrationModel(source, { contextLength: tokens.length });
  const [hidden] = await model.embed([tokens]);
  const block = await model.loadBlock(0);
  const received = block.attentionReceived({ hidden: hidden!, input: new Float32Array(0) });
  const total = received.reduce((sum, share) => sum + share, 0);
  expect(total / (source.config.heads * tokens.length)).toBeCloseTo(1, 4);
  // The first token is seen by the first 20 only.
  expect(received[0]).toBeLessThan(20 * source.config.heads);
});
