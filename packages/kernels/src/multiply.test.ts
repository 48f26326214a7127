import { dequantize, lbs4, type QuantizedMatrix } from '@lbs/format';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import type { ActivationPrecision } from './activations.js';
import { decoders, planDecoding } from './decoding-plan.js';
import { formats } from './fixtures/formats.js';
import { boundProblem } from './fixtures/product-bound.js';
import { randomActivations, randomQuantizedMatrix } from './fixtures/random-matrix.js';
import { createKernels, type Kernels, LinearAlgebra } from './index.js';

let kernels: Kernels;
beforeAll(async () => {
  kernels = await createKernels();
});

function scaleBy(input: Float32Array, factor: number): void {
  for (let i = 0; i < input.length; i++) input[i]! *= factor;
}

const tokenCounts = [1, 2, 5, 17];

const precisions = ['int8', 'int16', 'float32'] as const;

function load(
  matrix: QuantizedMatrix,
  input: Float32Array,
  tokens: number,
  activations: ActivationPrecision = 'int16',
  offset = 0,
) {
  const loaded = kernels.loadQuantized(matrix, { activations });
  const x = kernels.allocate(4 * (input.length + offset)) + 4 * offset;
  const y = kernels.allocate(4 * (tokens * matrix.rows + offset)) + 4 * offset;
  kernels.float32(x, input.length).set(input);
  kernels.multiply(loaded, x, y, tokens);
  return kernels.float32(y, tokens * matrix.rows).slice();
}

/** Holds every output against the bound that `multiply` documents. */
function expectWithinBound(
  matrix: QuantizedMatrix,
  input: Float32Array,
  tokens: number,
  activations: ActivationPrecision = 'int16',
  offset = 0,
): void {
  const mark = kernels.mark();
  const output = load(matrix, input, tokens, activations, offset);
  kernels.release(mark);
  const problem = boundProblem({ matrix, input, output, tokens, activations });
  if (problem) expect.fail(problem);
}

describe('multiply by a quantized matrix', () => {
  it.each(Object.entries(formats))('stays within the bound: %s', (_, format) => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 16, max: 300 }),
        fc.constantFrom(...tokenCounts),
        fc.constantFrom('least' as const, 'greatest' as const, 'random' as const, 'random' as const),
        fc.constantFrom(0.1, 0.1, 1e-5, 60000),
        fc.constantFrom(0, 0, 0.05),
        fc.constantFrom(...precisions),
        fc.integer({ min: 0, max: 3 }),
        fc.nat(1e6),
        (rows, columns, tokens, codes, largestScale, salient, activations, offset, seed) => {
          const matrix = randomQuantizedMatrix({ format, rows, columns, seed, codes, largestScale, salient });
          const input = randomActivations(tokens * columns, seed + 1);
          expectWithinBound(matrix, input, tokens, activations, offset);
        },
      ),
      { numRuns: 40, seed: 1 },
    );
  });

  it('covers every decoder', () => {
    const used = new Set(Object.values(formats).map((format) => planDecoding(format).decoder));
    expect([...used].sort()).toEqual(Object.keys(decoders).sort());
  });

  const extremes: Record<string, (input: Float32Array) => void> = {
    'zero inputs': (input) => input.fill(0),
    'equal inputs': (input) => input.fill(1),
    'one large outlier': (input) => input.set([1e6], 5),
    'huge inputs': (input) => scaleBy(input, 1e30),
    'tiny inputs': (input) => scaleBy(input, 1e-18),
    'inputs below the least scale': (input) => scaleBy(input, 1e-30),
    'subnormal inputs': (input) => input.fill(1e-42),
  };
  it.each(Object.entries(extremes))('stays within the bound: %s', (_, change) => {
    for (const name of ['int8', 'b3 s2 g16', 'b8 curved, widest levels', 'b4 s2 g8 curved', 'b5 s2 g32']) {
      for (const codes of ['random', 'least', 'greatest'] as const) {
        const matrix = randomQuantizedMatrix({
          format: formats[name]!,
          rows: 5,
          columns: 200,
          seed: 3,
          codes,
        });
        const input = randomActivations(3 * 200, 4);
        change(input);
        for (const activations of precisions) {
          expectWithinBound(matrix, input, 3, activations);
          expectWithinBound(matrix, input.subarray(0, 200), 1, activations);
        }
      }
    }
  });

  it.each(Object.entries(formats))('gives a token the same bits in a batch of any size: %s', (_, format) => {
    const matrix = randomQuantizedMatrix({ format, rows: 7, columns: 200, seed: 5 });
    const input = randomActivations(5 * 200, 6);
    for (const activations of precisions) {
      const batch = load(matrix, input, 5, activations);
      for (let t = 0; t < 5; t++) {
        const single = load(matrix, input.subarray(t * 200, (t + 1) * 200), 1, activations);
        expect([...batch.subarray(7 * t, 7 * t + 7)]).toEqual([...single]);
      }
    }
  });

  it('passes on NaN and infinity as NaN, for their own token only', () => {
    const matrix = randomQuantizedMatrix({ format: formats['int4']!, rows: 4, columns: 64, seed: 7 });
    const input = randomActivations(3 * 64, 8);
    input[3] = Number.NaN;
    input[64 + 3] = Number.POSITIVE_INFINITY;
    const output = load(matrix, input, 3);
    expect([...output.subarray(0, 8)].every(Number.isNaN)).toBe(true);
    expect([...output.subarray(8)].every(Number.isFinite)).toBe(true);
  });

  it('does not write behind the output', () => {
    const matrix = randomQuantizedMatrix({
      format: formats['int4']!,
      rows: 6,
      columns: 64,
      seed: 9,
      salient: 0.1,
    });
    const loaded = kernels.loadQuantized(matrix);
    for (const tokens of tokenCounts) {
      const x = kernels.allocate(4 * 64 * tokens);
      const y = kernels.allocate(4 * (6 * tokens + 8));
      kernels.float32(x, 64 * tokens).fill(1);
      kernels.float32(y, 6 * tokens + 8).fill(7);
      kernels.multiply(loaded, x, y, tokens);
      expect([...kernels.float32(y + 24 * tokens, 8)]).toEqual(Array(8).fill(7));
    }
  });
});

describe('multiplyTransposed', () => {
  /** output before, plus input [tokens, rows] times weights [rows, columns], and the sum of the terms' magnitudes. */
  function reference(before: Float32Array, input: Float32Array, weights: Float32Array, tokens: number) {
    const [rows, columns] = [input.length / tokens, before.length / tokens];
    return Array.from(before, (start, i) => {
      const [t, c] = [Math.floor(i / columns), i % columns];
      let [exact, magnitudes] = [start, Math.abs(start)];
      for (let r = 0; r < rows; r++) {
        const product = input[t * rows + r]! * weights[r * columns + c]!;
        exact += product;
        magnitudes += Math.abs(product);
      }
      return { exact, magnitudes };
    });
  }

  it.each([
    [1, 1, 1],
    [3, 5, 2],
    [40, 33, 7],
    [300, 65, 5],
    [520, 17, 21],
  ])('is the product with a dense matrix %i x %i, %i tokens', (rows, columns, tokens) => {
    const weights = randomActivations(rows * columns, rows);
    const input = randomActivations(tokens * rows, tokens);
    const mark = kernels.mark();
    const loaded = kernels.loadDense(weights, rows, columns);
    const x = kernels.allocate(input.byteLength);
    const y = kernels.allocate(4 * (tokens * columns + 1));
    kernels.float32(x, input.length).set(input);
    const before = randomActivations(tokens * columns, 3);
    for (const update of ['set', 'add'] as const) {
      const output = kernels.float32(y, tokens * columns + 1);
      output.set([...before, 7]);
      new LinearAlgebra(kernels).multiplyTransposed(loaded, { input: x, output: y, tokens, update });
      const start = update === 'set' ? before.map(() => 0) : before;
      for (const [i, { exact, magnitudes }] of reference(start, input, weights, tokens).entries()) {
        const bound = (Math.min(rows, 256) + Math.ceil(rows / 256) + 2) * 2 ** -24 * magnitudes;
        expect(Math.abs(output[i]! - exact)).toBeLessThanOrEqual(bound);
      }
      expect(output[tokens * columns]).toBe(7);
    }
    kernels.release(mark);
  });

  it.each(Object.entries(formats))('has the bits of the dequantized matrix: %s', (_, format) => {
    const [columns, tokens] = [72, 3];
    for (const rows of [5, 300]) {
      const mark = kernels.mark();
      const matrix = randomQuantizedMatrix({ format, rows, columns, seed: rows, salient: 0.05 });
      const input = randomActivations(tokens * rows, 1);
      const x = kernels.allocate(input.byteLength);
      kernels.float32(x, input.length).set(input);
      const matrices = [kernels.loadQuantized(matrix), kernels.loadDense(dequantize(matrix), rows, columns)];
      for (const update of ['set', 'add'] as const) {
        const [quantized, dense] = matrices.map((loaded) => {
          const y = kernels.allocate(4 * tokens * columns);
          kernels.float32(y, tokens * columns).fill(0.1);
          const before = kernels.bytes;
          new LinearAlgebra(kernels).multiplyTransposed(loaded, { input: x, output: y, tokens, update });
          expect(kernels.bytes).toBe(before);
          return kernels.float32(y, tokens * columns).slice();
        });
        expect(quantized).toEqual(dense);
      }
      kernels.release(mark);
    }
  });
});

describe('gather', () => {
  it.each(Object.entries(formats))('gives exactly what dequantize gives: %s', (_, format) => {
    for (const columns of [16, 64, 200]) {
      const matrix = randomQuantizedMatrix({ format, rows: 6, columns, seed: columns, salient: 0.05 });
      const loaded = kernels.loadQuantized(matrix);
      const output = kernels.allocate(4 * (3 * columns + 64));
      kernels.float32(output, 3 * columns + 64).fill(7);
      kernels.gather(loaded, [5, 0, 5], output);
      const weights = dequantize(matrix);
      const expected = [5, 0, 5].flatMap((row) => [...weights.subarray(row * columns, (row + 1) * columns)]);
      expect([...kernels.float32(output, 3 * columns + 64)]).toEqual([...expected, ...Array(64).fill(7)]);
    }
  });

  it('names a row that does not exist', () => {
    const loaded = kernels.loadDense(new Float32Array(8), 2, 4);
    expect(() => kernels.gather(loaded, [2], 4096)).toThrow('row 2 is not one of the 2 rows');
  });
});

describe('multiply by a dense matrix', () => {
  it('stays within float32 rounding', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 200 }),
        fc.integer({ min: 1, max: 5 }),
        fc.nat(1e6),
        (rows, columns, tokens, seed) => {
          const mark = kernels.mark();
          const weights = randomActivations(rows * columns, seed);
          const input = randomActivations(tokens * columns, seed + 1);
          const loaded = kernels.loadDense(weights, rows, columns);
          const x = kernels.allocate(input.byteLength);
          const y = kernels.allocate(4 * tokens * rows + 4);
          kernels.float32(x, input.length).set(input);
          kernels.float32(y, tokens * rows + 1)[tokens * rows] = 7;
          kernels.multiply(loaded, x, y, tokens);
          const output = kernels.float32(y, tokens * rows + 1);
          expect(output[tokens * rows]).toBe(7);
          for (let t = 0; t < tokens; t++) {
            for (let r = 0; r < rows; r++) {
              let exact = 0;
              let magnitudes = 0;
              for (let c = 0; c < columns; c++) {
                const product = input[t * columns + c]! * weights[r * columns + c]!;
                exact += product;
                magnitudes += Math.abs(product);
              }
              const bound = (columns / 4 + 8) * 2 ** -24 * magnitudes;
              expect(Math.abs(output[t * rows + r]! - exact)).toBeLessThanOrEqual(bound);
            }
          }
          kernels.release(mark);
        },
      ),
      { numRuns: 60, seed: 1 },
    );
  });

  it('gathers rows as they were given', () => {
    const weights = randomActivations(12, 1);
    const loaded = kernels.loadDense(weights, 3, 4);
    const output = kernels.allocate(32);
    kernels.gather(loaded, [2, 1], output);
    expect([...kernels.float32(output, 8)]).toEqual([...weights.subarray(8), ...weights.subarray(4, 8)]);
  });

  it('takes other weights in the place of its own, of the same size', () => {
    const loaded = kernels.loadDense(randomActivations(12, 1), 3, 4);
    const behind = kernels.loadDense(randomActivations(4, 2), 1, 4);
    const before = kernels.bytes;
    const weights = randomActivations(12, 3);
    kernels.overwriteDense(loaded, weights);
    expect(kernels.bytes).toBe(before);
    const output = kernels.allocate(4 * 16);
    kernels.gather(loaded, [0, 1, 2], output);
    kernels.gather(behind, [0], output + 4 * 12);
    expect([...kernels.float32(output, 16)]).toEqual([...weights, ...randomActivations(4, 2)]);
    expect(() => kernels.overwriteDense(loaded, new Float32Array(13))).toThrow('12 weights, not 13');
    const quantized = kernels.loadQuantized(
      randomQuantizedMatrix({ format: lbs4, rows: 3, columns: 64, seed: 1 }),
    );
    expect(() => kernels.overwriteDense(quantized, new Float32Array(192))).toThrow('only a dense one');
  });
});
