import {
  createFormatRegistry,
  dequantize,
  loadMatrix,
  numberFormats,
  type QuantizedMatrix,
  storeMatrix,
} from '@lbs/format';
import { createKernels } from '@lbs/kernels';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InputStatistics } from '../calibration/input-statistics.js';
import { float32Of } from '../fixtures/base64.js';
import { hessianOf, type Layer, layers } from '../fixtures/gptq-layers.js';
import { normalWeights } from '../fixtures/normal-weights.js';
import { quantizeMatrix } from '../job/quantize-matrix.js';
import { parseRecipe } from '../recipe/recipe.js';
import { ResolvedRule, standardParts } from '../recipe/resolved-rule.js';
import { gptq } from '../solvers/gptq.js';
import { roundToNearest } from '../solvers/round-to-nearest.js';
import type { SolverInput } from '../solvers/solver.js';
import { coordinateDescent } from './coordinate-descent.js';

const formats = createFormatRegistry();
const kernels = await createKernels();

function inputOf(layer: Layer, format = formats.get(layer.format), isSalient = false): SolverInput {
  const { rows, columns } = layer;
  const weights = float32Of(layer.weights);
  const statistics = new InputStatistics(kernels, { hessian: hessianOf(layer) }, columns);
  const salient = isSalient ? Uint32Array.from(weights.keys()).filter((i) => i % 97 === 5) : undefined;
  return { weights, rows, columns, format, kernels, statistics, salient };
}

/** [rows] (w - q) H (w - q)^T in float64, H damped. */
function lossesOf({ weights, rows, columns, statistics }: SolverInput, matrix: QuantizedMatrix): number[] {
  const hessian = statistics!.dampedHessian();
  const restored = dequantize(matrix);
  return Array.from({ length: rows }, (_, row) => {
    const errors = Float64Array.from({ length: columns }, (_, j) => {
      return weights[row * columns + j]! - restored[row * columns + j]!;
    });
    let loss = 0;
    for (let i = 0; i < columns; i++) {
      let sum = 0;
      for (let j = 0; j < columns; j++) sum += hessian[i * columns + j]! * errors[j]!;
      loss += errors[i]! * sum;
    }
    return loss;
  });
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

/** The loss before and after, after a look at each row. */
function refinedLosses(input: SolverInput, matrix: QuantizedMatrix, rounds = 3): [number, number] {
  const before = lossesOf(input, matrix);
  const after = lossesOf(input, coordinateDescent.refine(matrix, input, { rounds, leastGain: 0 }));
  for (const [row, loss] of after.entries()) expect(loss).toBeLessThanOrEqual(before[row]! * (1 + 1e-6));
  return [total(before), total(after)];
}

describe('coordinate descent', () => {
  test.each(layers.map((layer, i) => [i, layer.format, layer.kind, layer] as const))(
    'layer %i in %s, %s: makes no row of GPTQ worse, and the layer better',
    (_i, _format, _kind, layer) => {
      const mark = kernels.mark();
      for (const isSalient of [false, true]) {
        const input = inputOf(layer, undefined, isSalient);
        const [before, after] = refinedLosses(input, gptq.solve(input));
        expect(after).toBeLessThan(before);
      }
      kernels.release(mark);
    },
  );

  test.each(numberFormats)(
    '$name: improves on round-to-nearest, in parts that can be stored',
    async (format) => {
      const mark = kernels.mark();
      const input = inputOf(layers.find(({ kind }) => kind === 'heavy tails')!, format, true);
      const matrix = roundToNearest.solve(input);
      const [before, after] = refinedLosses(input, matrix);
      expect(after).toBeLessThan(before);
      const refined = coordinateDescent.refine(matrix, input);
      const tensors = new Map(storeMatrix('m', refined).map((tensor) => [tensor.name, tensor]));
      expect(await loadMatrix('m', format, async (name) => tensors.get(name))).toEqual(refined);
      kernels.release(mark);
    },
  );

  test('raises no loss: weights and inputs of any size, rows and columns of any number', () => {
    const matrix = fc.record({
      format: fc.constantFrom(...numberFormats),
      rows: fc.integer({ min: 1, max: 20 }),
      columns: fc.integer({ min: 1, max: 90 }),
      weightSize: fc.integer({ min: -60, max: 60 }),
      inputSize: fc.integer({ min: -20, max: 20 }),
      tokens: fc.integer({ min: 1, max: 40 }),
      outlier: fc.constantFrom(1, 300),
    });
    fc.assert(
      fc.property(matrix, ({ format, rows, columns, weightSize, inputSize, tokens, outlier }) => {
        const mark = kernels.mark();
        const numbers = normalWeights(rows * columns + tokens * columns);
        const weights = numbers.subarray(0, rows * columns).map((weight) => weight * 2 ** weightSize);
        const x = numbers.subarray(rows * columns);
        const hessian = new Float32Array(columns * columns);
        for (let t = 0; t < tokens; t++) {
          const input = (i: number) => x[t * columns + i]! * (i === 0 ? outlier : 1) * 2 ** inputSize;
          for (let i = 0; i < columns; i++)
            for (let j = 0; j < columns; j++) hessian[i * columns + j]! += (input(i) * input(j)) / tokens;
        }
        const statistics = new InputStatistics(kernels, { hessian }, columns);
        const input = { weights, rows, columns, format, kernels, statistics };
        refinedLosses(input, roundToNearest.solve(input));
        kernels.release(mark);
      }),
      { numRuns: 100 },
    );
  });

  test('further rounds go on, and end where a round gains too little of what the first one gained', () => {
    const mark = kernels.mark();
    const input = inputOf(layers[0]!);
    const matrix = gptq.solve(input);
    const lossAfter = (rounds: number, leastGain: number) =>
      total(lossesOf(input, coordinateDescent.refine(matrix, input, { rounds, leastGain })));
    expect(lossAfter(4, 0)).toBeLessThan(lossAfter(1, 0));
    expect(lossAfter(4, 1)).toBe(lossAfter(2, 0));
    kernels.release(mark);
  });

  test('changes nothing of the matrix that it is given', () => {
    const mark = kernels.mark();
    const input = inputOf(layers[0]!, formats.get('lbs-b4-s2x8-g64-linear-6'), true);
    const matrix = gptq.solve(input);
    const copy = structuredClone(matrix);
    coordinateDescent.refine(matrix, input);
    expect(matrix).toEqual(copy);
    kernels.release(mark);
  });

  test('refuses layers that are not calibrated', () => {
    const { statistics, ...input } = inputOf(layers[0]!);
    expect(() => coordinateDescent.refine(roundToNearest.solve(input), input)).toThrow('second moments');
  });
});

describe('a recipe with refine', () => {
  const rule = { targets: ['m'], format: 'int4-g64', solver: 'rtn' };
  const resolve = (refine?: object) =>
    new ResolvedRule(
      parseRecipe({ name: 'r', rules: [{ ...rule, ...(refine && { refine }) }] }).rules[0]!,
      standardParts,
    );

  test('measures the inputs and refines what the solver chose', () => {
    const mark = kernels.mark();
    const input = inputOf(layers[0]!, formats.get('int4-g64'));
    const { rows, columns, weights: values, statistics } = input;
    const tensor = { name: 'm.weight', shape: [rows, columns], values, file: 'f' };
    const plain = quantizeMatrix(tensor, resolve(), { kernels, statistics });
    const refined = quantizeMatrix(tensor, resolve({ method: 'coordinate-descent' }), {
      kernels,
      statistics,
    });
    expect(resolve().needsStatistics).toBe(false);
    expect(resolve({ method: 'coordinate-descent' }).needsStatistics).toBe(true);
    expect(total(lossesOf(input, refined.matrix))).toBeLessThan(total(lossesOf(input, plain.matrix)));
    expect(refined.dequantized).toEqual(dequantize(refined.matrix));
    kernels.release(mark);
  });

  test('names a field that is wrong', () => {
    expect(() => resolve({ method: 'coordinate-descent', rounds: 0 })).toThrow('rules.0.refine.rounds');
    expect(() => resolve({ method: 'magic' })).toThrow('unknown refinement "magic"');
  });
});
