import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { exponential } from './exponential.js';
import { createSampler } from './sampling.js';
import { tokenDistribution } from './token-distribution.js';

interface Vector {
  readonly options: {
    temperature: number;
    top_k?: number;
    top_p?: number;
    min_p?: number;
    repetition_penalty?: number;
  };
  readonly logits: number[];
  readonly context: number[];
  /** Token and probability of what transformers keeps. */
  readonly kept: [number, number][];
}

const vectors: Vector[] = JSON.parse(
  readFileSync(new URL('../fixtures/sampling.json', import.meta.url), 'utf8'),
);

describe('the distribution that is sampled from', () => {
  test.each(vectors.map((vector) => [JSON.stringify(vector.options), vector] as const))(
    'is that of transformers with %s',
    (_, { options, logits, context, kept }) => {
      const { temperature, top_k, top_p, min_p, repetition_penalty } = options;
      const { tokens, probabilities } = tokenDistribution(Float32Array.from(logits), context, {
        temperature,
        ...(top_k !== undefined && { topK: top_k }),
        ...(top_p !== undefined && { topP: top_p }),
        ...(min_p !== undefined && { minP: min_p }),
        ...(repetition_penalty !== undefined && { repetitionPenalty: repetition_penalty }),
      });
      expect(tokens).toEqual(kept.map(([token]) => token));
      for (const [i, [, probability]] of kept.entries()) expect(probabilities[i]).toBeCloseTo(probability, 6);
    },
  );
});

describe('sampling', () => {
  test('temperature 0 takes the first of the largest logits', () => {
    expect(createSampler()(Float32Array.of(1, 5, 5, -1))).toBe(1);
    expect(createSampler({ repetitionPenalty: 2 })(Float32Array.of(1, 5, 5, -1), [1])).toBe(2);
    expect(createSampler({ repetitionPenalty: 2 })(Float32Array.of(-1, -1.5), [0, 0])).toBe(1);
  });

  test('frequencies follow the likelihoods', () => {
    const sample = createSampler({ temperature: 2, seed: 7 });
    const counts = [0, 0, 0];
    for (let i = 0; i < 20_000; i++) counts[sample(Float32Array.of(0, 2 * Math.log(2), 2 * Math.log(5)))]!++;
    for (const [i, share] of [1 / 8, 2 / 8, 5 / 8].entries())
      expect(counts[i]! / 20_000).toBeCloseTo(share, 1.7);
  });

  test('takes nothing that was cut off', () => {
    const sample = createSampler({ temperature: 1, topK: 2, seed: 1 });
    const seen = new Set(Array.from({ length: 200 }, () => sample(Float32Array.of(3, 1, 2.5, 2))));
    expect([...seen].sort()).toEqual([0, 2]);
  });

  test.each([
    [{ temperature: -1 }],
    [{ temperature: Number.NaN }],
    [{ temperature: Number.POSITIVE_INFINITY }],
    [{ topK: 0 }],
    [{ topK: 1.5 }],
    [{ topP: 0 }],
    [{ topP: 1.1 }],
    [{ minP: -0.1 }],
    [{ minP: 2 }],
    [{ repetitionPenalty: 0 }],
    [{ repetitionPenalty: Number.NaN }],
  ])('refuses %o', (options) => {
    expect(() => createSampler(options)).toThrow(new RegExp(Object.keys(options)[0]!));
  });
});

describe('the exponential', () => {
  test('is that of the engine to 2 units in the last place', () => {
    fc.assert(
      fc.property(fc.double({ min: -700, max: 0, noNaN: true }), (x) => {
        expect(Math.abs(exponential(x) / Math.exp(x) - 1)).toBeLessThan(4.5e-16);
      }),
    );
    expect([
      exponential(0),
      exponential(-0),
      exponential(-701),
      exponential(Number.NEGATIVE_INFINITY),
    ]).toEqual([1, 1, 0, 0]);
  });

  test('has the same bits everywhere', () => {
    const view = new DataView(new ArrayBuffer(8));
    const bits = [-0.1, -1, -13.37, -300.5].map((x) => {
      view.setFloat64(0, exponential(x));
      return view.getBigUint64(0).toString(16);
    });
    expect(bits).toMatchInlineSnapshot(`
      [
        "3fecf46d99d52b3a",
        "3fd78b56362cef38",
        "3eba31ad57ba12f4",
        "24d629f5b5352a54",
      ]
    `);
  });
});
