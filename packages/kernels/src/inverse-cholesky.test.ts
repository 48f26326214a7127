import { LbsError } from '@lbs/format';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { createCuttingKernels } from './fixtures/cutting-kernels.js';
import {
  absolute,
  inverse,
  matrixFrom,
  product,
  type ReferenceMatrix,
  referenceMatrix,
  transpose,
  upperCholesky,
} from './fixtures/dense-reference.js';
import { randomActivations } from './fixtures/random-matrix.js';
import { type Kernels, LinearAlgebra } from './index.js';
import { NotPositiveDefiniteError } from './not-positive-definite-error.js';

let kernels: Kernels;
let algebra: LinearAlgebra;
/** Cuts every product into ranges of 7 rows. */
let cutAlgebra: LinearAlgebra;
beforeAll(async () => {
  const sevenRows = (rows: number) =>
    Array.from({ length: Math.ceil(rows / 7) }, (_, i) => [7 * i, Math.min(7 * i + 7, rows)] as const);
  ({ kernels, cutAlgebra } = await createCuttingKernels(sevenRows));
  algebra = new LinearAlgebra(kernels);
});

/** X^T X / tokens of `tokens` random rows whose columns differ by `spread`, plus `damping` times the mean diagonal; float32. */
function randomHessian(
  size: number,
  options: { tokens: number; damping: number; spread?: number; seed: number },
) {
  const { tokens, damping, spread = 0, seed } = options;
  const factors = randomActivations(size, seed + 1).map((value) => Math.exp(spread * value));
  const input = matrixFrom(
    randomActivations(tokens * size, seed).map((value, i) => value * factors[i % size]!),
    tokens,
    size,
  );
  const { values } = product(transpose(input), input);
  let trace = 0;
  for (let i = 0; i < size; i++) trace += values[i * size + i]!;
  for (let i = 0; i < size; i++) values[i * size + i]! += (damping * trace) / size;
  return Float32Array.from(values, (value) => value / tokens);
}

function factorOf(hessian: Float32Array, size: number, by = algebra): Float32Array {
  const mark = kernels.mark();
  const matrix = kernels.allocate(4 * (hessian.length + 1));
  kernels.float32(matrix, hessian.length + 1).set([...hessian, 7]);
  by.inverseCholesky(matrix, size);
  const all = kernels.float32(matrix, hessian.length + 1).slice();
  expect(all[hessian.length]).toBe(7);
  kernels.release(mark);
  return all.subarray(0, hessian.length);
}

function expectUpperTriangle(factor: Float32Array, size: number): void {
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < i; j++) if (!Object.is(factor[i * size + j], 0)) expect.fail(`${i}, ${j} is not 0`);
    expect(factor[i * size + i]).toBeGreaterThan(0);
  }
}

function frobenius({ values }: ReferenceMatrix): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
}

function difference(a: ReferenceMatrix, b: ReferenceMatrix): ReferenceMatrix {
  return referenceMatrix(
    a.rows,
    a.columns,
    (i, j) => a.values[i * a.columns + j]! - b.values[i * a.columns + j]!,
  );
}

/**
 * |U^T U H - I| element by element. With M M^T = H + E and U M = I + F, where |E| <= c |M| |U| |M| |M|^T (a block's panel is multiplied by the
 * inverse of its diagonal block, which costs the factor |M| |U|) and |F|, |F^T| <= c |U| |M|, to first order
 *
 *     U^T U H - I = (M U - I)^T + U^T F M^T - U^T U E,   so it is at most 3 c |U|^T |U| |M| |U| |M| |M|^T
 *
 * with c = 2^-24 (size + 64): every element is a sum of at most `size` products and rounded a few times more.
 */
function expectInverse(factor: Float32Array, hessian: Float32Array, size: number): void {
  const u = matrixFrom(factor, size);
  const m = inverse(u);
  const h = matrixFrom(hessian, size);
  const [absoluteU, absoluteM] = [absolute(u), absolute(m)];
  const residual = product(transpose(u), u, h);
  const growth = product(
    transpose(absoluteU),
    absoluteU,
    absoluteM,
    absoluteU,
    absoluteM,
    transpose(absoluteM),
  );
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      const error = Math.abs(residual.values[i * size + j]! - Number(i === j));
      const bound = 3 * 2 ** -24 * (size + 64) * growth.values[i * size + j]!;
      if (!(error <= bound)) expect.fail(`element ${i}, ${j} of U^T U H - I: ${error}, bound ${bound}`);
    }
  }
}

describe('inverseCholesky', () => {
  it.each([1, 3, 17, 64, 65, 100, 129, 577])('agrees with float64, size %i', (size) => {
    const hessian = randomHessian(size, { tokens: 4 * size, damping: 0.01, seed: size });
    const factor = factorOf(hessian, size);
    expectUpperTriangle(factor, size);
    const h = matrixFrom(hessian, size);
    const inverted = inverse(h);
    const expected = upperCholesky(inverted);
    const condition = frobenius(h) * frobenius(inverted);
    const error = frobenius(difference(matrixFrom(factor, size), expected)) / frobenius(expected);
    // Perturbation theory: half the condition number times the relative error of H, which is random, so it grows as a square root.
    expect(error).toBeLessThan(2 ** -24 * Math.sqrt(size) * condition);
    expect(error).toBeLessThan(1e-5);
  });

  it('gives U^T U H = I', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 140 }),
        fc.constantFrom(1, 1e-2, 1e-4),
        fc.constantFrom(0, 1),
        fc.nat(1e6),
        (size, damping, spread, seed) => {
          // Half of the matrices are singular without damping.
          const tokens = 1 + (seed % (2 * size));
          const hessian = randomHessian(size, { tokens, damping, spread, seed });
          const factor = factorOf(hessian, size);
          expectUpperTriangle(factor, size);
          expectInverse(factor, hessian, size);
        },
      ),
      { numRuns: 30, seed: 1 },
    );
  });

  it.each([1e30, 1e-30])('keeps its accuracy when H is scaled by %d', (scale) => {
    const size = 100;
    const hessian = randomHessian(size, { tokens: 400, damping: 0.01, seed: 3 });
    const power = 2 ** (2 * Math.round(Math.log2(scale) / 2));
    const factor = factorOf(hessian, size);
    const scaled = factorOf(
      hessian.map((value) => value * power),
      size,
    );
    expect(scaled).toEqual(factor.map((value) => value / Math.sqrt(power)));
  });

  it('reads the upper triangle only', () => {
    const size = 100;
    const hessian = randomHessian(size, { tokens: 200, damping: 0.1, seed: 4 });
    const upper = hessian.map((value, i) => (i % size < Math.floor(i / size) ? Number.NaN : value));
    expect(factorOf(upper, size)).toEqual(factorOf(hessian, size));
  });

  it('inverts a diagonal matrix', () => {
    const size = 70;
    const hessian = new Float32Array(size * size);
    for (let i = 0; i < size; i++) hessian[i * size + i] = 4 ** ((i % 7) - 3);
    const expected = hessian.map((value) => (value === 0 ? 0 : 1 / Math.sqrt(value)));
    expect(factorOf(hessian, size)).toEqual(expected);
  });

  it('does not depend on how products are cut', () => {
    const size = 200;
    const hessian = randomHessian(size, { tokens: 300, damping: 0.01, seed: 5 });
    expect(factorOf(hessian, size, cutAlgebra)).toEqual(factorOf(hessian, size));
  });

  const failures: Record<string, [(hessian: Float32Array, size: number) => void, number]> = {
    'a negative diagonal': [(h, n) => h.set([-1], 80 * n + 80), 80],
    zeros: [(h) => h.fill(0), 99],
    'a dead input that nobody damped': [
      (h, n) => {
        for (let i = 0; i < n; i++) h[30 * n + i] = h[i * n + 30] = 0;
      },
      30,
    ],
    NaN: [(h, n) => h.set([Number.NaN], 3 * n + 90), 3],
    infinity: [(h, n) => h.set([Number.POSITIVE_INFINITY], 50 * n + 50), 50],
  };
  it.each(Object.entries(failures))('names the pivot: %s', (_, [change, pivot]) => {
    const size = 100;
    const hessian = randomHessian(size, { tokens: 200, damping: 0.1, seed: 6 });
    change(hessian, size);
    const mark = kernels.mark();
    let error: unknown;
    try {
      factorOf(hessian, size);
    } catch (reason) {
      error = reason;
    }
    expect(error).toBeInstanceOf(NotPositiveDefiniteError);
    expect(LbsError.isInstance(error)).toBe(true);
    expect((error as NotPositiveDefiniteError).pivot).toBe(pivot);
    expect((error as Error).message).toContain(
      `100 x 100 matrix is not positive definite: pivot ${pivot} is not positive`,
    );
    kernels.release(mark);
  });

  it('refuses an indefinite matrix of any rank', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 150 }), fc.nat(1e6), (size, seed) => {
        const hessian = randomHessian(size, { tokens: 2 * size, damping: 0.1, seed });
        const i = seed % size;
        const j = (i + 1) % size;
        // A principal minor of two rows is negative.
        const excess = 1.1 * Math.sqrt(hessian[i * size + i]! * hessian[j * size + j]!);
        hessian[i * size + j] = hessian[j * size + i] = excess;
        expect(() => factorOf(hessian, size)).toThrow(NotPositiveDefiniteError);
      }),
      { numRuns: 20, seed: 1 },
    );
  });
});

describe('multiplyByInverse', () => {
  it.each([1, 3, 17, 65, 200])('solves, size %i', (size) => {
    const rows = 11;
    const hessian = randomHessian(size, { tokens: 4 * size, damping: 0.01, seed: size });
    const factor = factorOf(hessian, size);
    const input = randomActivations(rows * size, 1);
    const [u, x, y] = [factor, input, input].map((values) => {
      const pointer = kernels.allocate(values.byteLength);
      kernels.float32(pointer, values.length).set(values);
      return pointer;
    }) as [number, number, number];
    const [inputPlace, outputPlace] = [x, y].map((pointer) => ({ pointer, stride: size })) as [
      { pointer: number; stride: number },
      { pointer: number; stride: number },
    ];
    const rest = { rows, factor: u, size };
    algebra.multiplyByInverse({ input: inputPlace, output: outputPlace, ...rest });
    const output = kernels.float32(y, rows * size).slice();
    const exactFactor = matrixFrom(factor, size);
    const exact = product(matrixFrom(input, rows, size), transpose(exactFactor), exactFactor);
    const magnitude = product(
      absolute(matrixFrom(input, rows, size)),
      transpose(absolute(exactFactor)),
      absolute(exactFactor),
    );
    output.forEach((value, i) => {
      const bound = 2 * (size + 3) * 2 ** -24 * magnitude.values[i]!;
      if (!(Math.abs(value - exact.values[i]!) <= bound)) expect.fail(`element ${i}: ${value}`);
    });
    algebra.multiplyByInverse({ input: inputPlace, output: inputPlace, ...rest });
    expect(kernels.float32(x, rows * size).slice()).toEqual(output);
  });
});
