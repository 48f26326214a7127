import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { createRandom, randomActivations } from './fixtures/random-matrix.js';
import { type Activation, createKernels, type Kernels } from './index.js';

let kernels: Kernels;
beforeAll(async () => {
  kernels = await createKernels();
});

function put(values: ArrayLike<number>): number {
  const pointer = kernels.allocate(4 * values.length);
  kernels.float32(pointer, values.length).set(values);
  return pointer;
}

/** The distribution function of the normal distribution as the sum of its series (Handbook of Mathematical Functions, 26.2.11). */
function normalDistribution(x: number): number {
  let [sum, term] = [x, x];
  for (let k = 1; k < 200; k++) {
    term *= (x * x) / (2 * k + 1);
    sum += term;
  }
  return 0.5 + (Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)) * sum;
}

const references: Readonly<Record<Activation, (x: number) => number>> = {
  silu: (x) => x / (1 + Math.exp(-x)),
  gelu: (x) => x * normalDistribution(x),
  geluTanh: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  relu: (x) => Math.max(x, 0),
};

describe.each(Object.entries(references))('%s', (name, reference) => {
  const activation = name as Activation;

  it('agrees with its formula', () => {
    const random = createRandom(1);
    const values = Float32Array.from({ length: 20_003 }, () => 14 * random() - 7);
    const pointer = put(values);
    kernels.activate(activation, { gate: pointer, output: pointer }, values.length);
    const results = kernels.float32(pointer, values.length);
    let worst = 0;
    for (const [i, x] of values.entries()) worst = Math.max(worst, Math.abs(results[i]! - reference(x)));
    expect(worst).toBeLessThan(2e-6);
  });

  it('is multiplied by what it gates, and nothing is written behind it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 70 }), fc.nat(1e6), (length, seed) => {
        const [gate, up] = [randomActivations(length, seed), randomActivations(length, seed + 1)];
        const output = put(new Float32Array(length + 1).fill(7));
        kernels.activate(activation, { gate: put(gate), up: put(up), output }, length);
        const results = kernels.float32(output, length + 1);
        for (let i = 0; i < length; i++) {
          expect(Math.abs(results[i]! - reference(gate[i]!) * up[i]!)).toBeLessThan(1e-5);
        }
        expect(results[length]).toBe(7);
      }),
      { seed: 1 },
    );
  });

  it('goes to 0 and to its argument at the ends', () => {
    const pointer = put([-200, 200, -1e4, 1e4, 0]);
    kernels.activate(activation, { gate: pointer, output: pointer }, 5);
    const results = [...kernels.float32(pointer, 5)].map((x) => x + 0);
    expect(results).toEqual([0, 200, 0, 1e4, 0]);
  });
});

describe('softcap', () => {
  it('keeps values within the cap by the hyperbolic tangent', () => {
    const values = Array.from({ length: 1001 }, (_, i) => (i - 500) / 5);
    const pointer = put([...values, 7]);
    kernels.softcap(pointer, 30, values.length);
    const results = kernels.float32(pointer, values.length + 1);
    for (const [i, x] of values.entries()) {
      expect(Math.abs(results[i]! - 30 * Math.tanh(x / 30))).toBeLessThan(1e-5);
    }
    expect(results[values.length]).toBe(7);
  });

  it('is the cap at the ends', () => {
    const pointer = put([1e6, -1e6, Number.POSITIVE_INFINITY, 0]);
    kernels.softcap(pointer, 50, 4);
    expect([...kernels.float32(pointer, 4)]).toEqual([50, -50, 50, 0]);
  });
});

describe('scale and clamp', () => {
  it('multiply, and keep within a limit', () => {
    const values = Array.from({ length: 11 }, (_, i) => i - 5);
    const pointer = put([...values, 7]);
    kernels.scale(pointer, 0.5, values.length);
    expect([...kernels.float32(pointer, 12)]).toEqual([...values.map((x) => x / 2), 7]);
    kernels.clamp(pointer, 1.5, values.length);
    expect([...kernels.float32(pointer, 12)]).toEqual([
      ...values.map((x) => Math.max(Math.min(x / 2, 1.5), -1.5)),
      7,
    ]);
  });
});
