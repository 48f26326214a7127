import { expectedSalientBits, lbs3 } from '@lbs/format';
import { createKernels } from '@lbs/kernels';
import { describe, expect, test } from 'vitest';
import { normalWeights } from '../fixtures/normal-weights.js';
import type { RecipeRule } from '../recipe/recipe.js';
import { ResolvedRule, standardParts } from '../recipe/resolved-rule.js';
import { quantizeMatrix } from './quantize-matrix.js';

const kernels = await createKernels();
const [rows, columns] = [24, 256];
const tensor = {
  name: 'layer.weight',
  file: 'model',
  shape: [rows, columns],
  values: normalWeights(rows * columns),
};

function salientOf(salient: Omit<NonNullable<RecipeRule['salient']>, 'score'>) {
  const rule = {
    targets: ['layer'],
    format: lbs3.name,
    solver: 'rtn',
    salient: { score: 'magnitude', ...salient },
  };
  return quantizeMatrix(tensor, new ResolvedRule(rule, standardParts), { kernels }).matrix.salient;
}

const counts = (salient: ReturnType<typeof salientOf>) => [...(salient?.counts ?? [])];
const total = (salient: ReturnType<typeof salientOf>) => salient?.columns.length ?? 0;

describe('the salient weights of a matrix', () => {
  test('are a share of it', () => {
    expect(total(salientOf({ amount: { fraction: 0.01 } }))).toBe(Math.round(0.01 * rows * columns));
    expect(salientOf({ amount: { fraction: 0 } })).toBeUndefined();
  });

  test('are so many of each row, group or block of columns', () => {
    expect(total(salientOf({ amount: { count: 9 } }))).toBe(9);
    expect(counts(salientOf({ amount: { count: 3 }, per: 'row' }))).toEqual(new Array(rows).fill(3));
    expect(counts(salientOf({ amount: { count: 1 }, per: { groupSize: 64 } }))).toEqual(
      new Array(rows).fill(4),
    );
    expect(total(salientOf({ amount: { count: 5 }, per: { columnBlock: 128 } }))).toBe(10);
  });

  test('take no more bits than the recipe grants, and nearly all of them', () => {
    const granted = 0.2 * rows * columns;
    const count = total(salientOf({ amount: { bitsPerWeight: 0.2 } }));
    const cost = (salient: number) => 8 * rows + salient * expectedSalientBits(salient / (rows * columns));
    expect(cost(count)).toBeLessThanOrEqual(granted);
    expect(cost(count + 1)).toBeGreaterThan(granted);
    expect(salientOf({ amount: { bitsPerWeight: 0.01 } })).toBeUndefined();
  });
});
