import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { serializeQuantizationConfig } from '@lbs/format';
import { type ModelSource, openModelDirectory } from '@lbs/model-loaders';
import { openModel } from '@lbs/model-loaders/node';
import { afterAll, describe, expect, test } from 'vitest';
import { directoryOf } from '../fixtures/model-in-memory.js';
import { loadDecoder } from './decoder.js';

/** Made by scripts/make_gguf_vectors.py: what transformers computes in float32 with the dequantized weights. */
interface Vectors {
  readonly tokens: readonly number[];
  readonly cases: readonly { readonly file: string; readonly modelType: string; readonly offset: number }[];
}

const place = (file: string) => fileURLToPath(new URL(`../fixtures/gguf/${file}`, import.meta.url));
const { tokens, cases } = JSON.parse(readFileSync(place('cases.json'), 'utf8')) as Vectors;
const data = readFileSync(place('logits.bin'));
/** Every fourth entry of the vocabulary is stored. */
const columnStep = 4;

async function largestDifference(source: ModelSource, offset: number): Promise<number> {
  const decoder = await loadDecoder(source, { contextLength: tokens.length });
  const logits = await decoder.logits(tokens, 0);
  const columns = source.config.vocabularySize / columnStep;
  return Array.from({ length: tokens.length * columns }, (_, i) =>
    Math.abs(logits[i * columnStep]! - data.readFloatLE(offset + 4 * i)),
  ).reduce((most, difference) => Math.max(most, difference));
}

describe.each(cases)('$file', async ({ file, modelType, offset }) => {
  const source = await openModel(place(file));
  afterAll(() => source.close());

  test('has the logits of transformers', async () => {
    expect(source.config.architecture).toBe(modelType);
    expect(await largestDifference(source, offset)).toBeLessThan(2e-4);
  });

  // Only then the matrices of GPT-2 are [out, in] in a file.
  test('has them too when it is written as a directory of this toolkit', async () => {
    const quantization = serializeQuantizationConfig({ groups: [], provenance: {} });
    const copy = await openModelDirectory(await directoryOf(source, { quantization_config: quantization }));
    expect(copy.config).toEqual(source.config);
    expect(await largestDifference(copy, offset)).toBeLessThan(2e-4);
  });
});
