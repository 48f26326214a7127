import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openModel } from '@lbs/model-loaders/node';
import { afterAll, describe, expect, test } from 'vitest';
import { loadLanguageModel } from '../generation/language-model.js';

/** Made by datasets/scripts/make-runtime-vectors.py: what transformers computes in float32. */
interface Vectors {
  readonly tokens: number[];
  /** Vocabulary entries whose logits are stored; null for all. */
  readonly columns: number[] | null;
  readonly sections: { name: string; shape: number[]; offset: number }[];
  readonly argmax: number[];
  readonly continuations: { promptTokens: number[]; tokens: number[]; prompt: string; text: string }[];
}

const tolerance = 2e-4;

describe.each(['reference-lm', 'tiny-lm'])('%s', async (name) => {
  const fixture = (file: string) => readFileSync(new URL(`../fixtures/${name}-${file}`, import.meta.url));
  const vectors = JSON.parse(fixture('logits.json').toString()) as Vectors;
  const data = fixture('logits.bin');
  const section = (wanted: string) => {
    const { shape, offset } = vectors.sections.find((entry) => entry.name === wanted)!;
    const length = shape.reduce((a, b) => a * b, 1);
    return Float32Array.from({ length }, (_, i) => data.readFloatLE(offset + 4 * i));
  };
  const source = await openModel(fileURLToPath(new URL(`../../../../datasets/${name}/`, import.meta.url)));
  const model = await loadLanguageModel(source);
  const vocabulary = model.vocabularySize;
  afterAll(() => source.close());

  /** The largest difference to the stored logits, and to the log-sum-exp and maximum over the whole vocabulary. */
  function largestDifference(logits: Float32Array): number {
    const columns = vectors.columns ?? [...Array(vocabulary).keys()];
    const expected = section('logits');
    const sums = section('logSumExp');
    const maxima = section('maximum');
    let largest = 0;
    for (let position = 0; position < vectors.tokens.length; position++) {
      const row = logits.subarray(position * vocabulary, (position + 1) * vocabulary);
      for (const [i, column] of columns.entries()) {
        largest = Math.max(largest, Math.abs(row[column]! - expected[position * columns.length + i]!));
      }
      const maximum = row.reduce((a, b) => Math.max(a, b));
      const sum = row.reduce((total, logit) => total + Math.exp(logit - maximum), 0);
      largest = Math.max(
        largest,
        Math.abs(maximum - maxima[position]!),
        Math.abs(maximum + Math.log(sum) - sums[position]!),
      );
    }
    return largest;
  }

  test('prefill gives the logits of transformers at every position', async () => {
    const logits = await model.logits(vectors.tokens, 0);
    expect(largestDifference(logits)).toBeLessThan(tolerance);
    const best = vectors.tokens.map((_, position) => {
      const row = logits.subarray(position * vocabulary, (position + 1) * vocabulary);
      return row.indexOf(row.reduce((a, b) => Math.max(a, b)));
    });
    expect(best.filter((token, i) => token !== vectors.argmax[i])).toEqual([]);
  });

  test('so does decoding token by token', async () => {
    model.decoder.clear();
    const logits = new Float32Array(vectors.tokens.length * vocabulary);
    for (let end = 1; end <= vectors.tokens.length; end++) {
      logits.set(await model.logits(vectors.tokens.slice(0, end), end - 1), (end - 1) * vocabulary);
    }
    expect(largestDifference(logits)).toBeLessThan(tolerance);
  });

  test.each(vectors.continuations)(
    'continues "$prompt" as transformers does',
    async ({ promptTokens, tokens, prompt, text }) => {
      expect(model.encode(prompt)).toEqual(promptTokens);
      const generated = await model.generate(promptTokens, { maxTokens: tokens.length, stopTokens: [] });
      expect(generated).toMatchObject({ tokens, text });
    },
  );
});
