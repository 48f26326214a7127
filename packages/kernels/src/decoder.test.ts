import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { createRandom, randomActivations } from './fixtures/random-matrix.js';
import { createKernels, type Kernels } from './index.js';

let kernels: Kernels;
beforeAll(async () => {
  kernels = await createKernels();
});

function put(values: ArrayLike<number>): number {
  const pointer = kernels.allocate(4 * values.length);
  kernels.float32(pointer, values.length).set(values);
  return pointer;
}

/** Every value within `relative` of the expected one, or `absolute`. */
function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  relative: number,
  absolute = 0,
): void {
  expect(actual.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i]! - expected[i]!);
    if (!(error <= relative * Math.abs(expected[i]!) + absolute)) {
      expect.fail(`value ${i} is ${actual[i]}, not ${expected[i]}`);
    }
  }
}

const lengths = fc.integer({ min: 1, max: 70 });
const seeds = fc.nat(1e6);

describe('exponential', () => {
  function exponentials(values: number[]): number[] {
    const pointer = put(values);
    kernels.exponential(pointer, values.length);
    return [...kernels.float32(pointer, values.length)];
  }

  /** Distance of two neighbouring float32 at x. */
  function ulp(x: number): number {
    return Math.max(2 ** (Math.floor(Math.log2(x)) - 23), 2 ** -149);
  }

  it('is within 2 ulp over the whole range', () => {
    const random = createRandom(1);
    const values = Array.from({ length: 200_000 }, () => Math.fround(random() * 191.5 - 103));
    const results = exponentials(values);
    let worst = 0;
    for (let i = 0; i < values.length; i++) {
      const exact = Math.exp(values[i]!);
      worst = Math.max(worst, Math.abs(results[i]! - exact) / ulp(exact));
    }
    expect(worst).toBeLessThanOrEqual(2);
  });

  it('is right at the ends', () => {
    expect(
      exponentials([Number.NEGATIVE_INFINITY, -1e30, -200, 0, -0, 89, 1e30, Number.POSITIVE_INFINITY]),
    ).toEqual([
      ...[0, 0, 0, 1, 1],
      ...[Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
    ]);
    const [small, one, great, none] = exponentials([-100, 1, 88, Number.NaN]);
    expectClose([small!], [Math.exp(-100)], 0, 2 ** -148);
    expectClose([one!, great!], [Math.E, Math.exp(88)], 2 ** -22);
    expect(none).toBeNaN();
  });
});

describe('rmsNorm', () => {
  it.each([0, 1e-5])('divides by the root of the mean square (epsilon %d)', (epsilon) => {
    fc.assert(
      fc.property(lengths, fc.integer({ min: 1, max: 3 }), seeds, (width, tokens, seed) => {
        const input = randomActivations(tokens * width, seed);
        const weight = randomActivations(width, seed + 1);
        const x = put(input);
        kernels.rmsNorm(x, put(weight), x, tokens, width, epsilon);
        const expected = [...input].map((value, i) => {
          const row = input.subarray(i - (i % width), i - (i % width) + width);
          const mean = row.reduce((sum, v) => sum + v * v, 0) / width;
          return (value / Math.sqrt(mean + epsilon)) * weight[i % width]!;
        });
        expectClose(kernels.float32(x, input.length), expected, 4e-6);
      }),
      { seed: 1 },
    );
  });
});

describe('layerNorm', () => {
  it.each([0, 1e-5])('takes the mean off and divides by the deviation (epsilon %d)', (epsilon) => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 70 }),
        fc.integer({ min: 1, max: 3 }),
        seeds,
        (width, tokens, seed) => {
          // Far from 0, where a variance of one pass would lose its digits.
          const input = randomActivations(tokens * width, seed).map((value) => value + 30);
          const [weight, bias] = [randomActivations(width, seed + 1), randomActivations(width, seed + 2)];
          const x = put(input);
          kernels.layerNorm(x, { weight: put(weight), bias: put(bias) }, x, tokens, width, epsilon);
          const expected = [...input].map((value, i) => {
            const row = input.subarray(i - (i % width), i - (i % width) + width);
            const mean = row.reduce((sum, v) => sum + v, 0) / width;
            const variance = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / width;
            return ((value - mean) / Math.sqrt(variance + epsilon)) * weight[i % width]! + bias[i % width]!;
          });
          expectClose(kernels.float32(x, input.length), expected, 1e-4, 1e-4);
        },
      ),
      { seed: 1 },
    );
  });
});

describe('rotate', () => {
  it('turns dimension i with dimension i + headDim / 2', () => {
    for (const headDim of [2, 6, 8, 64, 80]) {
      const shape = { tokens: 3, heads: 2, headDim, start: 4 };
      const half = headDim / 2;
      const angle = (position: number, i: number) => position * 10000 ** (-i / half);
      const angles = Array.from({ length: 7 * half }, (_, k) => angle(Math.floor(k / half), k % half));
      const input = randomActivations(3 * 2 * headDim, headDim);
      const x = put(input);
      kernels.rotate(x, put(angles.map(Math.cos)), put(angles.map(Math.sin)), shape);
      const expected = [...input].map((value, k) => {
        const i = k % headDim;
        const turn = angle(4 + Math.floor(k / (2 * headDim)), i % half);
        const other = i < half ? -input[k + half]! : input[k - half]!;
        return value * Math.cos(turn) + other * Math.sin(turn);
      });
      expectClose(kernels.float32(x, input.length), expected, 0, 2e-6);
    }
  });

  it('turns only the first dimensions where it is asked to', () => {
    const [headDim, rotaryDim] = [20, 8];
    const input = randomActivations(3 * headDim, 5);
    const whole = put(input);
    const angles = Array.from({ length: 3 * 4 }, (_, k) => k / 7);
    const [cosines, sines] = [put(angles.map(Math.cos)), put(angles.map(Math.sin))];
    kernels.rotate(whole, cosines, sines, { tokens: 3, heads: 1, headDim, rotaryDim, start: 0 });
    const front = (values: Float32Array) => [...values].filter((_, i) => i % headDim < rotaryDim);
    const part = put(front(input));
    kernels.rotate(part, cosines, sines, { tokens: 3, heads: 1, headDim: rotaryDim, start: 0 });
    const turned = kernels.float32(whole, input.length);
    expect(front(turned)).toEqual([...kernels.float32(part, 3 * rotaryDim)]);
    const back = (values: Float32Array) => [...values].filter((_, i) => i % headDim >= rotaryDim);
    expect(back(turned)).toEqual(back(input));
  });

  it('refuses an odd head', () => {
    expect(() => kernels.rotate(0, 0, 0, { tokens: 1, heads: 1, headDim: 3, start: 0 })).toThrow(
      'headDim must be even',
    );
  });
});

interface AttentionCase {
  tokens: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  start: number;
  scale?: number;
  window?: number;
  softcap?: number;
}

interface AttentionReference {
  /** [tokens, heads, headDim] */
  readonly output: number[];
  /** [heads, start + tokens] */
  readonly received: number[];
}

function attendReference(
  q: Float32Array,
  k: Float32Array,
  v: Float32Array,
  shape: AttentionCase,
): AttentionReference {
  const { tokens, heads, kvHeads, headDim, start, scale = 1 / Math.sqrt(headDim), softcap } = shape;
  const output: number[] = [];
  const received = new Array<number>(heads * (start + tokens)).fill(0);
  for (let t = 0; t < tokens; t++) {
    for (let h = 0; h < heads; h++) {
      const kvHead = Math.floor(h / (heads / kvHeads));
      const at = (position: number, i: number) => (position * kvHeads + kvHead) * headDim + i;
      const scores = Array.from({ length: start + t + 1 }, (_, p) => {
        let sum = 0;
        for (let i = 0; i < headDim; i++) sum += q[(t * heads + h) * headDim + i]! * k[at(p, i)]!;
        if (p <= start + t - (shape.window ?? Number.POSITIVE_INFINITY)) return Number.NEGATIVE_INFINITY;
        return softcap ? softcap * Math.tanh((scale * sum) / softcap) : scale * sum;
      });
      const greatest = Math.max(...scores);
      const weights = scores.map((score) => Math.exp(score - greatest));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      weights.forEach((weight, p) => {
        received[h * (start + tokens) + p]! += weight / total;
      });
      for (let i = 0; i < headDim; i++) {
        output.push(weights.reduce((sum, weight, p) => sum + (weight / total) * v[at(p, i)]!, 0));
      }
    }
  }
  return { output, received };
}

describe('attend', () => {
  it.each([1, 30])('agrees with the plain sum, scores up to about %d times the usual', (sharpness) => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.constantFrom([1, 1], [4, 4], [6, 2], [9, 3]),
        fc.constantFrom(4, 12, 16, 64, 80),
        fc.integer({ min: 0, max: 40 }),
        fc.constantFrom({}, { window: 1 }, { window: 7 }, { scale: 0.3 }, { softcap: 2, window: 13 }),
        seeds,
        (tokens, [heads, kvHeads], headDim, start, more, seed) => {
          const mark = kernels.mark();
          const shape = { tokens, heads: heads!, kvHeads: kvHeads!, headDim, start, ...more };
          const cacheLength = (start + tokens) * kvHeads! * headDim;
          const q = randomActivations(tokens * heads! * headDim, seed).map((x) => sharpness * x);
          const k = randomActivations(cacheLength, seed + 1);
          const v = randomActivations(cacheLength, seed + 2);
          const output = kernels.allocate(4 * q.length);
          kernels.attend(put(q), put(k), put(v), output, shape);
          const expected = attendReference(q, k, v, shape);
          expectClose(kernels.float32(output, q.length), expected.output, 0, 5e-6 * sharpness);

          const positions = start + tokens;
          const stride = positions + 3;
          const sums = put(new Float32Array(heads! * stride).fill(1));
          const received = { pointer: sums, stride };
          kernels.attend(put(q), put(k), put(v), output, { ...shape, received });
          expectClose(kernels.float32(output, q.length), expected.output, 0, 5e-6 * sharpness);
          const added = kernels.float32(sums, heads! * stride);
          for (let h = 0; h < heads!; h++) {
            const ofHead = added.subarray(h * stride, h * stride + positions).map((sum) => sum - 1);
            expectClose(
              ofHead,
              expected.received.slice(h * positions, (h + 1) * positions),
              0,
              2e-5 * sharpness,
            );
            expect([...added.subarray(h * stride + positions, (h + 1) * stride)]).toEqual([1, 1, 1]);
          }
          kernels.release(mark);
        },
      ),
      { numRuns: 60, seed: 1 },
    );
  });

  it('keeps scores of thousands finite', () => {
    const output = kernels.allocate(16);
    const keys = put([1e3, 0, 0, 0, -1e3, 0, 0, 0]);
    const shape = { tokens: 1, heads: 1, kvHeads: 1, headDim: 4, start: 1 };
    kernels.attend(put([1e3, 0, 0, 0]), keys, put([1, 2, 3, 4, 5, 6, 7, 8]), output, shape);
    expect([...kernels.float32(output, 4)]).toEqual([1, 2, 3, 4]);
  });

  it('keeps the distances of scores that are all far below the cap', () => {
    const output = kernels.allocate(16);
    const keys = put([-3e3, 0, 0, 0, -3e3, 0, 0, 0]);
    const shape = { tokens: 1, heads: 1, kvHeads: 1, headDim: 4, start: 1, scale: 1, softcap: 1000 };
    kernels.attend(put([1, 0, 0, 0]), keys, put([1, 2, 3, 4, 5, 6, 7, 8]), output, shape);
    expect([...kernels.float32(output, 4)]).toEqual([3, 4, 5, 6]);
  });

  it('refuses shapes that it cannot read', () => {
    const shape = { tokens: 1, heads: 3, kvHeads: 2, headDim: 4, start: 0 };
    expect(() => kernels.attend(0, 0, 0, 0, shape)).toThrow('3 heads are not a multiple of 2 key heads');
    expect(() => kernels.attend(0, 0, 0, 0, { ...shape, headDim: 6 })).toThrow(
      'headDim must be a multiple of 4, not 6',
    );
  });
});

describe('store', () => {
  it('puts new positions behind the old ones', () => {
    const cache = put([1, 2, 3, 4, 0, 0, 0, 0, 9]);
    kernels.store(put([5, 6, 7, 8]), cache, 2, 2, 2);
    expect([...kernels.float32(cache, 9)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });
});

describe('copyColumns', () => {
  it('moves columns of every row', () => {
    const target = put([9, 9, 9, 9, 9, 9]);
    const copy = { rows: 2, width: 2, sourceColumns: 4, firstSource: 1, targetColumns: 3, firstTarget: 1 };
    kernels.copyColumns(put([1, 2, 3, 4, 5, 6, 7, 8]), target, copy);
    expect([...kernels.float32(target, 6)]).toEqual([9, 2, 3, 9, 6, 7]);
  });
});

describe('elementwise', () => {
  it('swiGlu gates with the sigmoid-weighted unit', () => {
    fc.assert(
      fc.property(lengths, seeds, fc.constantFrom(1, 30), (length, seed, factor) => {
        const gate = randomActivations(length, seed).map((x) => factor * x);
        const up = randomActivations(length, seed + 1);
        const output = put(new Float32Array(length + 1).fill(7));
        kernels.swiGlu(put(gate), put(up), output, length);
        const expected = [...gate].map((x, i) => (x / (1 + Math.exp(-x))) * up[i]!);
        expectClose(kernels.float32(output, length), expected, 1e-6, 1e-30);
        expect(kernels.float32(output, length + 1)[length]).toBe(7);
      }),
      { seed: 1 },
    );
  });

  it('swiGlu goes to 0 and to the gate itself at the ends', () => {
    const output = kernels.allocate(8);
    kernels.swiGlu(put([-200, 200]), put([1, 1]), output, 2);
    expect([...kernels.float32(output, 2)].map((x) => x + 0)).toEqual([0, 200]);
  });

  it('add adds', () => {
    fc.assert(
      fc.property(lengths, seeds, (length, seed) => {
        const a = randomActivations(length, seed);
        const b = randomActivations(length, seed + 1);
        const target = put([...a, 7]);
        kernels.add(target, put(b), length);
        expect([...kernels.float32(target, length + 1)]).toEqual([...a.map((x, i) => x + b[i]!), 7]);
      }),
    );
  });

  it('argmax finds the first greatest', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -5, max: 5 }), { minLength: 1, maxLength: 40 }), (values) => {
        expect(kernels.argmax(put(values), values.length)).toBe(values.indexOf(Math.max(...values)));
      }),
    );
    expect(kernels.argmax(put([Number.NaN, -3, Number.NaN, -2, Number.NaN]), 5)).toBe(3);
    expect(kernels.argmax(put([-3, Number.NaN]), 2)).toBe(0);
    expect(kernels.argmax(put([Number.NaN, Number.NEGATIVE_INFINITY]), 2)).toBe(0);
  });
});
