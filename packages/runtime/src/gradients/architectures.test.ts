import { readFileSync } from 'node:fs';
import { layoutOf } from '@lbs/model-loaders';
import { describe, expect, test } from 'vitest';
import { openCalibrationModel } from '../calibration/calibration-model.js';
import { architectureCases } from '../fixtures/architecture-cases.js';
import { openHashedModel } from '../fixtures/hashed-model.js';

/** Made by scripts/make_architecture_gradients.py: what PyTorch's autograd computes in float64. */
interface Vectors {
  readonly tokens: number;
  readonly cases: readonly {
    readonly name: string;
    readonly modules: readonly { readonly module: string; readonly rows: number }[];
  }[];
}

const fixture = (extension: string) =>
  readFileSync(new URL(`../fixtures/architecture-gradients.${extension}`, import.meta.url));
const vectors = JSON.parse(fixture('json').toString()) as Vectors;
const data = fixture('bin');
let offset = 0;
const take = (length: number) =>
  Array.from({ length }, () => {
    const value = data.readFloatLE(offset);
    offset += 4;
    return value;
  });
const expected = new Map(
  vectors.cases.map(({ name, modules }) => [
    name,
    modules.map(({ module, rows }) => ({ module, tokenSums: take(vectors.tokens), rowMeans: take(rows) })),
  ]),
);

/** The largest difference, as a fraction of the greatest value. */
function distance(actual: Float32Array, wanted: readonly number[]): number {
  const greatest = Math.max(...wanted);
  return Math.max(...wanted.map((value, i) => Math.abs(actual[i]! - value))) / greatest;
}

describe.each(architectureCases)('$name', ({ name, config, tensors, tokens }) => {
  test('has the squared gradients of PyTorch', async () => {
    const source = await openHashedModel(config, tensors);
    const sequence = tokens.slice(0, vectors.tokens);
    // As transformers, which scales by the length of the text.
    const model = await openCalibrationModel(source, { contextLength: vectors.tokens });
    const measured = await model.measureOutputGradients([sequence], { labels: [sequence.slice(1)] });
    const modules = expected.get(name)!;
    expect([...measured.keys()].sort()).toEqual(
      [...modules.map(({ module }) => module), layoutOf(source.config).embedding].sort(),
    );
    for (const { module, tokenSums, rowMeans } of modules) {
      const found = measured.get(module)!;
      expect(found.rowMeans.length, module).toBe(rowMeans.length);
      expect(distance(found.tokenSums[0]!, tokenSums), module).toBeLessThan(2e-4);
      expect(distance(found.rowMeans, rowMeans), module).toBeLessThan(2e-4);
    }
  });
});
