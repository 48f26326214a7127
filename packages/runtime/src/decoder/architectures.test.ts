import { serializeQuantizationConfig } from '@lbs/format';
import { architectureNames, openModelDirectory } from '@lbs/model-loaders';
import { describe, expect, test } from 'vitest';
import { architectureCases, columnStep } from '../fixtures/architecture-cases.js';
import { openHashedModel } from '../fixtures/hashed-model.js';
import { directoryOf } from '../fixtures/model-in-memory.js';
import { loadDecoder } from './decoder.js';

const tolerance = 2e-4;

describe.each(architectureCases)('$name', async ({ config, tensors, tokens, logitsAt }) => {
  const source = await openHashedModel(config, tensors);
  const decoder = await loadDecoder(source, { contextLength: tokens.length });
  const { vocabularySize } = source.config;

  /** The largest difference to the logits of transformers at a position. */
  const differenceAt = (position: number, row: Float32Array) =>
    logitsAt(position)
      .map((logit, i) => Math.abs(row[columnStep * i]! - logit))
      .reduce((most, difference) => Math.max(most, difference));

  test('prefill gives the logits of transformers', async () => {
    decoder.clear();
    const logits = await decoder.logits(tokens, 0);
    const differences = tokens.map((_, position) =>
      differenceAt(position, logits.subarray(position * vocabularySize, (position + 1) * vocabularySize)),
    );
    expect(Math.max(...differences)).toBeLessThan(tolerance);
  });

  test('so does the model as this toolkit writes it', async () => {
    const quantization = serializeQuantizationConfig({ groups: [], provenance: {} });
    const copy = await openModelDirectory(await directoryOf(source, { quantization_config: quantization }));
    const written = await loadDecoder(copy, { contextLength: tokens.length });
    decoder.clear();
    expect(await written.logits(tokens, 0)).toEqual(await decoder.logits(tokens, 0));
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
  const held = new Set(architectureCases.map(({ config }) => config['model_type']));
  expect([...held].sort()).toEqual(architectureNames);
});
