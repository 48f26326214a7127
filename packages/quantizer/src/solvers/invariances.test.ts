import { dequantize, int4, lbs2, lbs3, lbs4 } from '@lbs/format';
import { createKernels } from '@lbs/kernels';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InputStatistics } from '../calibration/input-statistics.js';
import { normalWeights } from '../fixtures/normal-weights.js';
import { gptq } from './gptq.js';
import { roundToNearest } from './round-to-nearest.js';
import type { SolverInput } from './solver.js';

const kernels = await createKernels();
const [rows, columns] = [20, 96];

/** Second moments of `tokens` correlated inputs; fewer tokens than columns make them singular. */
function moments(tokens: number, inputs = normalWeights(tokens * columns)): Float32Array {
  const hessian = new Float32Array(columns * columns);
  for (let t = 0; t < tokens; t++) {
    const at = (j: number) => inputs[t * columns + j]! + 0.7 * (j > 0 ? inputs[t * columns + j - 1]! : 0);
    for (let i = 0; i < columns; i++) {
      for (let j = 0; j < columns; j++) hessian[i * columns + j]! += (at(i) * at(j)) / tokens;
    }
  }
  return hessian;
}

const weights = normalWeights(rows * columns);
const salient = Uint32Array.of(3, 97, 500, 1000, 1919);

function solved(
  solver: typeof gptq,
  format: SolverInput['format'],
  { matrix = weights, hessian = moments(300), indices = salient } = {},
): Float32Array {
  const mark = kernels.mark();
  const statistics = new InputStatistics(kernels, { hessian }, columns);
  const input = { weights: matrix, rows, columns, format, statistics, kernels, salient: indices };
  const result = dequantize(solver.solve(input));
  kernels.release(mark);
  return result;
}

describe.each([
  ['gptq', gptq],
  ['rtn', roundToNearest],
])('%s', (_, solver) => {
  describe.each([int4, lbs2, lbs3, lbs4])('in $name', (format) => {
    test('rows do not depend on each other: in another order they come out the same', () => {
      const order = fc.shuffledSubarray(
        Array.from({ length: rows }, (_, row) => row),
        { minLength: rows },
      );
      const before = solved(solver, format);
      fc.assert(
        fc.property(order, (permutation) => {
          const moved = (matrix: Float32Array) =>
            matrix.map((_, i) => matrix[permutation[Math.floor(i / columns)]! * columns + (i % columns)]!);
          const places = new Map(permutation.map((from, to) => [from, to]));
          const indices = salient
            .map((i) => places.get(Math.floor(i / columns))! * columns + (i % columns))
            .sort();
          expect(solved(solver, format, { matrix: moved(weights), indices })).toEqual(moved(before));
        }),
        { numRuns: 10 },
      );
    });

    test('twice the weights, four times the moments of the inputs: the same codes', () => {
      const before = solved(solver, format);
      const doubled = weights.map((weight) => 2 * weight);
      expect(solved(solver, format, { matrix: doubled })).toEqual(before.map((value) => 2 * value));
      const hessian = moments(300).map((moment) => 4 * moment);
      expect(solved(solver, format, { hessian })).toEqual(before);
    });

    test.each([
      ['inputs of rank 1', moments(1)],
      ['fewer tokens than inputs', moments(40)],
      ['inputs that are never active', new Float32Array(columns * columns)],
      [
        'a dead channel',
        moments(300).map((moment, i) => (i % columns === 7 || Math.floor(i / columns) === 7 ? 0 : moment)),
      ],
      ['an input of 1e6 times the others', moments(300).map((moment, i) => (i === 0 ? 1e12 : moment))],
    ])('%s: every weight still comes near', (__, hessian) => {
      const result = solved(solver, format, { hessian });
      expect(result.every(Number.isFinite)).toBe(true);
      const error = result.reduce((sum, value, i) => sum + (value - weights[i]!) ** 2, 0);
      expect(error / weights.reduce((sum, weight) => sum + weight ** 2, 0)).toBeLessThan(0.5);
    });

    test('constant rows, rows of zeros and groups that do not divide stay what they are, nearly', () => {
      const matrix = weights.map((weight, i) => [weight, 0.5, 0, -3][Math.floor(i / columns) % 4]!);
      const result = solved(solver, format, { matrix, indices: new Uint32Array() });
      for (const [i, value] of result.entries()) {
        const kind = Math.floor(i / columns) % 4;
        if (kind === 2) expect(value).toBe(0);
        if (solver === roundToNearest && kind % 2 === 1) {
          expect(Math.abs(value / matrix[i]! - 1)).toBeLessThan(0.1);
        }
      }
    });
  });
});
