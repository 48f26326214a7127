import { readFileSync } from 'node:fs';
import { architectureNames } from '@lbs/model-loaders';
import { describe, expect, test } from 'vitest';
import { type HashedTensor, openHashedModel } from '../fixtures/hashed-model.js';
import { loadDecoder } from './decoder.js';

/** Made by scripts/make_architecture_vectors.py: what transformers computes in float32. */
interface Vectors {
  readonly cases: readonly {
    readonly name: string;
    readonly config: Readonly<Record<string, unknown>>;
    readonly tensors: Readonly<Record<string, HashedTensor>>;
    readonly tokens: readonly number[];
    readonly offset: number;
  }[];
}

const fixture = (extension: string) =>
  readFileSync(new URL(`../fixtures/architectures.${extension}`, import.meta.url));
const { cases } = JSON.parse(fixture('json').toString()) as Vectors;
const data = fixture('bin');
/** Every third entry of the vocabulary is stored. */
const columnStep = 3;
const tolerance = 2e-4;

describe.each(cases)('$name', async ({ config, tensors, tokens, offset }) => {
  const source = await openHashedModel(config, tensors);
  const decoder = await loadDecoder(source, { contextLength: tokens.length });
  const { vocabularySize } = source.config;
  const columns = vocabularySize / columnStep;

  /** The largest difference to the stored logits of a position. */
  const differenceAt = (position: number, row: Float32Array) =>
    Array.from({ length: columns }, (_, i) =>
      Math.abs(row[columnStep * i]! - data.readFloatLE(offset + 4 * (position * columns + i))),
    ).reduce((most, difference) => Math.max(most, difference));

  test('prefill gives the logits of transformers', async () => {
    decoder.clear();
    const logits = await decoder.logits(tokens, 0);
    const differences = tokens.map((_, position) =>
      differenceAt(position, logits.subarray(position * vocabularySize, (position + 1) * vocabularySize)),
    );
    expect(Math.max(...differences)).toBeLessThan(tolerance);
  });

  test('so does decoding token by token', async () => {
    decoder.clear();
    for (const position of tokens.keys()) {
      const row = await decoder.logits(tokens.slice(0, position + 1), position);
      expect(differenceAt(position, row)).toBeLessThan(tolerance);
    }
  });
});

test('every architecture that is known is held against transformers', () => {
  const held = new Set(cases.map(({ config }) => config['model_type']));
  expect([...held].sort()).toEqual(architectureNames);
});
