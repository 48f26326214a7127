import {
  defineNumberFormat,
  dequantize,
  doubledLevels,
  int4,
  lbs3,
  lbs4,
  linearLevelTable,
  loadMatrix,
  type NumberFormat,
  nf4LevelTable,
  numberFormats,
  type ScaleEncodingName,
  scaleEncodings,
  storeMatrix,
  unsignedLevelTable,
} from '@lbs/format';
import { CodeSearch, createKernels } from '@lbs/kernels';
import { selectTopK } from '@lbs/topk-saliency';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { normalWeights } from '../fixtures/normal-weights.js';
import { minMax } from './min-max.js';
import { roundToNearest } from './round-to-nearest.js';

const kernels = await createKernels();
const finiteWeight = fc.float({ min: -100, max: 100, noNaN: true });

/** The formats of the package, and each scale encoding with a table that is not even. */
const formats = [
  ...numberFormats,
  ...Object.values(scaleEncodings).map(({ name }) =>
    defineNumberFormat({
      name: `nf4-${name}`,
      privateBits: 4,
      groupSize: 32,
      levelTable: nf4LevelTable,
      scaleEncoding: name as ScaleEncodingName,
    }),
  ),
];

function squaredError(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0);
}

function quantized(weights: Float32Array, columns: number, format: NumberFormat, salient?: Uint32Array) {
  const rows = weights.length / columns;
  return roundToNearest.solve({ weights, rows, columns, format, salient, kernels });
}

describe('the choice of shared bits', () => {
  const small = [
    defineNumberFormat({ name: 'b2-s1x4', privateBits: 2, sharedBits: 1, sharingBlock: 4, groupSize: 16 }),
    defineNumberFormat({ name: 'b1-s2x4', privateBits: 1, sharedBits: 2, sharingBlock: 4, groupSize: 16 }),
    defineNumberFormat({
      name: 'b1-s1x4-uneven',
      privateBits: 1,
      sharedBits: 1,
      sharingBlock: 4,
      groupSize: 16,
      levelTable: { name: 'uneven', levels: [0, 7, 9, 30], centre: 10 },
    }),
  ];

  test.each(small)(
    '$name: no choice of shared and private codes has a smaller error (brute force)',
    (format) => {
      const doubled = doubledLevels(format.levelTable);
      const importance = fc.float({ min: 0, max: 4, noNaN: true });
      const weight = fc.integer({ min: -20_000, max: 20_000 }).map((thousandths) => thousandths / 1000);
      const block = fc.array(fc.tuple(weight, importance), {
        minLength: 4,
        maxLength: 4,
      });
      fc.assert(
        fc.property(block, fc.float({ min: Math.fround(0.1), max: 5, noNaN: true }), (pairs, scale) => {
          const weights = Float32Array.from(pairs, ([weight]) => weight);
          const weighting = Float32Array.from(pairs, ([, value]) => value);
          const errorOf = (code: number, i: number) =>
            weighting[i]! * (weights[i]! - 0.5 * scale * doubled[code]!) ** 2;
          let least = Number.POSITIVE_INFINITY;
          const choices = 2 ** format.privateBits;
          for (let shared = 0; shared < 2 ** format.sharedBits; shared++) {
            for (let combination = 0; combination < choices ** 4; combination++) {
              let error = 0;
              for (let i = 0; i < 4; i++) {
                const code = Math.floor(combination / choices ** i) % choices;
                error += errorOf(code * 2 ** format.sharedBits + shared, i);
              }
              least = Math.min(least, error);
            }
          }
          const shape = { format, weights, rows: 1, columns: 4, importance: weighting };
          const search = new CodeSearch(kernels, shape);
          const parameters = { scales: Float32Array.of(scale) };
          const [error] = search.errors(parameters);
          const { codes, shared } = search.choose(parameters);
          search.release();
          const encoded = [...codes].reduce(
            (sum, code, i) => sum + errorOf(code * 2 ** format.sharedBits + shared[0]!, i),
            0,
          );
          // Errors are computed in float32, from weights of up to 20.
          const tolerance = 1e-4 * Math.sqrt(least) + 1e-5;
          expect(Math.abs(error! - least)).toBeLessThan(tolerance);
          expect(Math.abs(encoded - least)).toBeLessThan(tolerance);
        }),
        { numRuns: 200 },
      );
    },
  );
});

describe('round to nearest', () => {
  test.each(formats)('$name: weights on the grid come back exactly', (format) => {
    const doubled = doubledLevels(format.levelTable);
    const scale = 0.125;
    const rowsOfTable = 2 ** format.sharedBits;
    // Every block takes levels of one table row, its largest among them: the scale of the grid fits exactly.
    const weights = Float32Array.from({ length: 4 * 128 }, (_, i) => {
      const privateCode = i % 2 === 0 ? i % 2 ** format.privateBits : 2 ** format.privateBits - 1;
      return 0.5 * scale * doubled[privateCode * rowsOfTable + (rowsOfTable - 1)]!;
    });
    expect(squaredError(weights, dequantize(quantized(weights, 128, format)))).toBeLessThan(1e-9);
  });

  test.each(formats)('$name: never worse than the scale that just reaches the largest weight', (format) => {
    fc.assert(
      fc.property(fc.array(finiteWeight, { minLength: 1, maxLength: 100 }), (values) => {
        const weights = Float32Array.from(values);
        const rows = 1;
        const columns = weights.length;
        const matrix = quantized(weights, columns, format);
        const simple = squaredError(
          weights,
          dequantize(minMax.solve({ weights, rows, columns, format, kernels })),
        );
        const found = squaredError(weights, dequantize(matrix));
        // What storing the scale may cost: half a step of binary16 (of its subnormals too) or of the log8 grid.
        const energy = weights.reduce((sum, weight) => sum + weight * weight, 0);
        const subnormal = Math.sqrt(weights.length) * 128 * 2 ** -25;
        const bound = (Math.sqrt(simple * 1.05 + 1e-3 * energy) + subnormal) ** 2;
        // Codes are chosen in float32: among 256 levels a near tie may go the wrong way by 2^-16 of a step, at an error of half a step.
        expect(found).toBeLessThanOrEqual(bound * (1 + 2 ** -13));
      }),
      { numRuns: 100 },
    );
  });

  test('sharing one bit of INT5 by a block of weights lies between INT4 and INT5', () => {
    const weights = normalWeights(64 * 256);
    const errorOf = (options: { privateBits: number; sharedBits?: number; sharingBlock?: number }) => {
      const format = defineNumberFormat({
        name: 'x',
        groupSize: 64,
        levelTable: linearLevelTable(options.privateBits + (options.sharedBits ?? 0)),
        ...options,
      });
      return squaredError(weights, dequantize(quantized(weights, 256, format)));
    };
    const shared = errorOf({ privateBits: 4, sharedBits: 1, sharingBlock: 8 });
    expect(shared).toBeLessThan(errorOf({ privateBits: 4 }));
    expect(shared).toBeGreaterThan(errorOf({ privateBits: 5 }));
  });

  test('more freedom in the scale is not worse: zero-points, and finer encodings of the scale', () => {
    const weights = normalWeights(64 * 256).map((weight) => weight + 0.7);
    const errorOf = (more: Partial<NumberFormat>) => {
      const format = defineNumberFormat({ name: 'x', privateBits: 4, groupSize: 32, ...more });
      return squaredError(weights, dequantize(quantized(weights, 256, format)));
    };
    const asymmetric = { levelTable: unsignedLevelTable(4), zeroPoint: true };
    expect(errorOf(asymmetric)).toBeLessThan(0.8 * errorOf({}));
    const [float32, float16, bfloat16, log8, e4m3, e8m0] = (
      ['float32', 'float16', 'bfloat16', 'log8', 'e4m3', 'e8m0'] as const
    ).map((scaleEncoding) => errorOf({ scaleEncoding })) as [number, number, number, number, number, number];
    expect(float16 / float32).toBeCloseTo(1, 2);
    expect(bfloat16 / float32).toBeLessThan(1.01);
    expect(log8 / float32).toBeLessThan(1.02);
    expect(e4m3 / float32).toBeLessThan(1.06);
    // A scale up to twice as large as the best one: its mean square is 3 / ln 4.
    expect(e8m0 / float32).toBeGreaterThan(1.1);
    expect(e8m0 / float32).toBeLessThan(2.16);
  });

  test('all-zero rows and groups come back as zeros', () => {
    for (const format of formats) {
      const weights = new Float32Array(2 * 128);
      weights.set(normalWeights(64), 192);
      const restored = dequantize(quantized(weights, 128, format));
      expect(restored.subarray(0, 192).every((weight) => weight === 0)).toBe(true);
      expect(restored.subarray(192).some((weight) => weight !== 0)).toBe(true);
    }
  });

  test('extreme magnitudes stay finite', () => {
    for (const format of formats) {
      for (const size of [5e37, 1e-30, 1e-45]) {
        const restored = dequantize(
          quantized(
            normalWeights(64).map((weight) => weight * size),
            64,
            format,
          ),
        );
        expect(restored.every(Number.isFinite)).toBe(true);
      }
    }
  });
});

describe('salient weights', () => {
  const outliers = () => {
    const weights = normalWeights(32 * 256);
    for (let i = 5; i < weights.length; i += 301) weights[i]! *= 12;
    return weights;
  };

  test('come back to within half a residual step, and spare their group the stretched scale', () => {
    const weights = outliers();
    const salient = selectTopK(weights.map(Math.abs), 40);
    const matrix = quantized(weights, 256, lbs3, salient);
    const restored = dequantize(matrix);
    for (const index of salient) {
      const sigma = matrix.salient!.scales[Math.floor(index / 256)]!;
      expect(Math.abs(restored[index]! - weights[index]!)).toBeLessThanOrEqual(sigma / 2 + 1e-6);
    }
    expect(squaredError(weights, restored)).toBeLessThan(
      0.7 * squaredError(weights, dequantize(quantized(weights, 256, lbs3))),
    );
  });

  test('all of them salient: the error is that of an int8 residual', () => {
    const weights = normalWeights(4 * 128);
    const restored = dequantize(quantized(weights, 128, int4, Uint32Array.from(weights.keys())));
    const largest = weights.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
    for (const [i, weight] of weights.entries())
      expect(Math.abs(weight - restored[i]!)).toBeLessThan(largest / 254 + 1e-3);
  });

  test.each([1e36, 1, 1e-30])('can be stored at a magnitude of %f', async (size) => {
    const weights = outliers().map((weight) => weight * size);
    const salient = selectTopK(weights.map(Math.abs), 40);
    const matrix = quantized(weights, 256, lbs4, salient);
    const tensors = new Map(storeMatrix('m', matrix).map((tensor) => [tensor.name, tensor]));
    expect(await loadMatrix('m', lbs4, async (name) => tensors.get(name))).toEqual(matrix);
    expect(dequantize(matrix).every(Number.isFinite)).toBe(true);
  });

  test('the same input gives the same bytes', () => {
    const weights = outliers();
    const salient = selectTopK(weights.map(Math.abs), 40);
    expect(quantized(weights, 256, lbs4, salient)).toEqual(
      quantized(weights.slice(), 256, lbs4, salient.slice()),
    );
  });
});
