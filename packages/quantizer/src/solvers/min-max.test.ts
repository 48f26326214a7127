import {
  decodeScales,
  defineNumberFormat,
  dequantize,
  int4,
  lbs4,
  numberFormats,
  zeroPointFormat,
} from '@lbs/format';
import { createKernels } from '@lbs/kernels';
import { describe, expect, test } from 'vitest';
import { InputStatistics } from '../calibration/input-statistics.js';
import { normalWeights } from '../fixtures/normal-weights.js';
import { clipSearch } from './clip-search.js';
import { minMax, roundAtRange } from './min-max.js';

const kernels = await createKernels();
const format = zeroPointFormat(4);

/** One row of 64 weights and what is stored for it. */
function quantizeRow(weights: Float32Array) {
  const matrix = minMax.solve({ weights, rows: 1, columns: weights.length, format, kernels });
  return { scale: decodeScales(matrix)[0]!, zeroPoint: matrix.zeroPoints![0]!, restored: dequantize(matrix) };
}

describe('min-max', () => {
  test('reaches from the least to the greatest weight', () => {
    const weights = Float32Array.from({ length: 64 }, (_, i) => (i - 21) / 16);
    const { scale, zeroPoint, restored } = quantizeRow(weights);
    expect(scale).toBeCloseTo(63 / 16 / 15, 3);
    expect(zeroPoint).toBe(5);
    expect(restored.every((value, i) => Math.abs(value - weights[i]!) < 0.51 * scale)).toBe(true);
  });

  test.each([
    ['one value', 0.75],
    ['one negative value', -0.75],
    ['zeros', 0],
  ])('restores a row of %s', (_, value) => {
    const { restored } = quantizeRow(new Float32Array(64).fill(value));
    for (const weight of restored) expect(weight).toBeCloseTo(value, 3);
  });

  test('has zero as a level where all weights have one sign', () => {
    const weights = normalWeights(64).map((weight) => 3 + Math.abs(weight));
    weights[10] = 0;
    expect(quantizeRow(weights).restored[10]).toBe(0);
    expect(quantizeRow(weights.map((weight) => -weight)).restored[10]).toBeCloseTo(0, 12);
  });

  test.each(numberFormats)('packs in $name what it gives unpacked', (each) => {
    const [rows, columns] = [5, 200];
    const input = { weights: normalWeights(rows * columns), rows, columns, format: each, kernels };
    const importance = new Float32Array(columns).fill(1);
    expect(dequantize(minMax.solve(input))).toEqual(roundAtRange(input, importance));
  });
});

describe('awq-clip', () => {
  const [rows, columns] = [24, 160];
  const weights = normalWeights(rows * columns).map((weight) => weight ** 3);
  const inputs = normalWeights(64 * columns).map((value, i) => value * (1 + (i % 3)));
  const hessian = new Float32Array(columns * columns);
  for (let t = 0; t < 64; t++) {
    for (let i = 0; i < columns; i++) {
      for (let j = 0; j < columns; j++) {
        hessian[i * columns + j]! += (inputs[t * columns + i]! * inputs[t * columns + j]!) / 64;
      }
    }
  }
  const statistics = new InputStatistics(kernels, { hessian }, columns);

  /** [rows, groups] squared errors of the outputs of each group, from the inputs. */
  function groupErrors(restored: Float32Array, groupSize: number): number[] {
    const errors: number[] = [];
    for (let row = 0; row < rows; row++) {
      for (let start = 0; start < columns; start += groupSize) {
        let sum = 0;
        for (let t = 0; t < 64; t++) {
          let output = 0;
          for (let j = start; j < Math.min(start + groupSize, columns); j++) {
            output += inputs[t * columns + j]! * (restored[row * columns + j]! - weights[row * columns + j]!);
          }
          sum += output ** 2;
        }
        errors.push(sum / 64);
      }
    }
    return errors;
  }

  test.each([format, int4, lbs4, defineNumberFormat({ ...format, name: 'log8', scaleEncoding: 'log8' })])(
    'in $name no group has greater output errors than without clipping, and many have lesser ones',
    (each) => {
      const input = { weights, rows, columns, format: each, kernels, statistics };
      const plain = groupErrors(dequantize(minMax.solve(input)), each.groupSize);
      const clipped = groupErrors(dequantize(clipSearch.solve(input)), each.groupSize);
      for (const [i, error] of clipped.entries()) expect(error).toBeLessThanOrEqual(1.0001 * plain[i]!);
      const better = clipped.filter((error, i) => error < 0.99 * plain[i]!);
      expect(better.length).toBeGreaterThan(plain.length / 4);
    },
  );

  test('gives back the memory that it used', () => {
    const before = kernels.bytes;
    clipSearch.solve({ weights, rows, columns, format, kernels, statistics });
    expect(kernels.bytes).toBe(before);
  });

  test('keeps the whole range where the inputs are never active', () => {
    const silent = new InputStatistics(kernels, { hessian: new Float32Array(columns * columns) }, columns);
    const input = { weights, rows, columns, format, kernels };
    expect(clipSearch.solve({ ...input, statistics: silent })).toEqual(minMax.solve(input));
  });
});
