import { int4, lbs3 } from '@lbs/format';
import { createKernels } from '@lbs/kernels';
import { describe, expect, test } from 'vitest';
import { normalWeights } from '../fixtures/normal-weights.js';
import type { CalibrationSequence } from './calibration-model.js';
import { defaultDamping } from './input-statistics.js';
import { measureInputs } from './measure-inputs.js';

const kernels = await createKernels();
const columns = 40;
const tokens = 300;
const rows = 5;

/** Inputs [tokens, columns] with correlations, and the same as they come from a quantized model. */
function inputs(): { original: Float32Array; quantized: Float32Array } {
  const noise = normalWeights(2 * tokens * columns);
  const original = new Float32Array(tokens * columns);
  for (let i = 0; i < original.length; i++) {
    original[i] = noise[i]! + 0.8 * (i % columns > 0 ? original[i - 1]! : 0);
  }
  const quantized = original.map((value, i) => 0.9 * value + 0.2 * noise[original.length + i]!);
  return { original, quantized };
}

const stage = { modules: ['layer'], columns };
const sequence = (input: Float32Array): CalibrationSequence => ({ hidden: new Float32Array(), input });
const tokenWeights = Float32Array.from({ length: tokens }, (_, t) => 1 + (t % 3));

/** Solves `matrix` x = `right` for a symmetric positive definite matrix, in float64. */
function solve(matrix: readonly number[][], right: readonly number[]): number[] {
  const rowsOf = matrix.map((row, i) => [...row, right[i]!]);
  for (let i = 0; i < rowsOf.length; i++) {
    for (let k = 0; k < rowsOf.length; k++) {
      if (k === i) continue;
      const factor = rowsOf[k]![i]! / rowsOf[i]![i]!;
      for (let j = i; j <= rowsOf.length; j++) rowsOf[k]![j]! -= factor * rowsOf[i]![j]!;
    }
  }
  return rowsOf.map((row, i) => row[rowsOf.length]! / row[i]!);
}

/** Weighted mean over tokens of a_i b_j. */
function moments(a: Float32Array, b: Float32Array): number[][] {
  const total = tokenWeights.reduce((sum, weight) => sum + weight, 0);
  return Array.from({ length: columns }, (_, i) =>
    Array.from({ length: columns }, (_, j) => {
      let sum = 0;
      for (let t = 0; t < tokens; t++) sum += tokenWeights[t]! * a[t * columns + i]! * b[t * columns + j]!;
      return sum / total;
    }),
  );
}

describe('compensate', () => {
  const { original, quantized } = inputs();
  const weights = normalWeights(rows * columns);
  const streams = { quantized: [sequence(quantized)], original: [sequence(original)] };

  test.each([int4, lbs3])(
    'solves for the weights that make up for the drift, with the factor of $name',
    (format) => {
      const statistics = measureInputs(kernels, stage, streams, [tokenWeights]);
      const hessian = moments(quantized, quantized);
      const mean = hessian.reduce((sum, row, i) => sum + row[i]!, 0) / columns;
      const damped = hessian.map((row, i) => row.map((h, j) => h + (i === j ? defaultDamping * mean : 0)));
      const drift = moments(
        original.map((value, i) => value - quantized[i]!),
        quantized,
      );
      const half = statistics.compensate(weights, format, 0.5);
      for (let row = 0; row < rows; row++) {
        const w = [...weights.subarray(row * columns, (row + 1) * columns)];
        const right = Array.from({ length: columns }, (_, j) =>
          w.reduce((sum, weight, i) => sum + weight * drift[i]![j]!, 0),
        );
        for (const [j, change] of solve(damped, right).entries()) {
          expect(half[row * columns + j]! - w[j]!).toBeCloseTo(0.5 * change, 4);
        }
      }
    },
  );

  test('brings the outputs nearer to those of the unquantized model', () => {
    const statistics = measureInputs(kernels, stage, streams, [tokenWeights]);
    const error = (matrix: Float32Array) => {
      let sum = 0;
      for (let t = 0; t < tokens; t++) {
        for (let row = 0; row < rows; row++) {
          let difference = 0;
          for (let j = 0; j < columns; j++) {
            difference += weights[row * columns + j]! * original[t * columns + j]!;
            difference -= matrix[row * columns + j]! * quantized[t * columns + j]!;
          }
          sum += tokenWeights[t]! * difference ** 2;
        }
      }
      return sum;
    };
    const errors = [0, 0.25, 0.5, 1].map((strength) => error(statistics.compensate(weights, int4, strength)));
    expect(errors[1]).toBeLessThan(errors[0]!);
    expect(errors[2]).toBeLessThan(errors[1]!);
    expect(errors[3]).toBeLessThan(errors[2]!);
  });

  test('leaves weights alone where the inputs are those of the unquantized model, or were not measured', () => {
    const same = measureInputs(
      kernels,
      stage,
      { quantized: streams.quantized, original: streams.quantized },
      [tokenWeights],
    );
    expect(same.compensate(weights, int4, 1)).toEqual(weights);
    const alone = measureInputs(kernels, stage, { quantized: streams.quantized }, [tokenWeights]);
    expect(alone.compensate(weights, int4, 1)).toBe(weights);
  });
});
