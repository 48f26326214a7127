import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openModel } from '@lbs/model-loaders/node';
import { afterAll, expect, test } from 'vitest';
import { openCalibrationModel } from '../calibration/calibration-model.js';

/** Made by datasets/scripts/make-gradient-vectors.py: what PyTorch's autograd computes in float64. */
interface Vectors {
  readonly tokens: number[];
  readonly labels: number[];
  readonly sections: { name: string; shape: [number]; offset: number }[];
}

const fixture = (extension: string) =>
  readFileSync(new URL(`../fixtures/tiny-lm-gradients.${extension}`, import.meta.url));
const { tokens, labels, sections } = JSON.parse(fixture('json').toString()) as Vectors;
const data = fixture('bin');
const source = await openModel(fileURLToPath(new URL('../../../../datasets/tiny-lm/', import.meta.url)));
afterAll(() => source.close());

test('squared gradients are those of PyTorch', async () => {
  const model = await openCalibrationModel(source, { contextLength: tokens.length });
  const measured = await model.measureOutputGradients([tokens], { labels: [labels] });
  // The vectors hold the linear layers of the blocks; the embedding and the head come on top.
  expect(2 * (measured.size - 2)).toBe(sections.length);
  for (const { name, shape, offset } of sections) {
    const [, module, quantity] = /^(.*)\.(tokenSums|rowMeans)$/.exec(name)!;
    const { tokenSums, rowMeans } = measured.get(module!)!;
    const values = quantity === 'rowMeans' ? rowMeans : tokenSums[0]!;
    expect(values.length).toBe(shape[0]);
    const expected = Float32Array.from(values, (_, i) => data.readFloatLE(offset + 4 * i));
    const greatest = expected.reduce((most, value) => Math.max(most, value));
    for (const [i, value] of values.entries()) {
      const bound = 1e-4 * (expected[i]! + 1e-3 * greatest);
      expect(Math.abs(value - expected[i]!), `${name}, ${i}`).toBeLessThanOrEqual(bound);
    }
  }
});
