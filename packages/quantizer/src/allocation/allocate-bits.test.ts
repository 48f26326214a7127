import { InvalidArgumentError } from '@lbs/format';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { allocateBits, type StorageChoice } from './allocate-bits.js';

const choice: fc.Arbitrary<StorageChoice> = fc.record({
  bits: fc.integer({ min: 0, max: 40 }),
  loss: fc.integer({ min: 0, max: 1000 }),
});
const itemsAndBudget = fc.record({
  items: fc.array(fc.array(choice, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 6 }),
  spare: fc.integer({ min: 0, max: 120 }),
});

const sum = (
  items: readonly (readonly StorageChoice[])[],
  chosen: readonly number[],
  field: keyof StorageChoice,
) => chosen.reduce((total, index, item) => total + items[item]![index]![field], 0);

const smallest = (items: readonly (readonly StorageChoice[])[]) =>
  items.reduce((total, choices) => total + Math.min(...choices.map(({ bits }) => bits)), 0);

/** All ways to choose. */
function* allChoices(items: readonly (readonly StorageChoice[])[]): Generator<number[]> {
  const [first, ...rest] = items;
  if (!first) {
    yield [];
    return;
  }
  for (const tail of allChoices(rest)) for (const i of first.keys()) yield [i, ...tail];
}

describe('allocateBits', () => {
  test('stays within the budget, and within one step of the least loss', () => {
    fc.assert(
      fc.property(itemsAndBudget, ({ items, spare }) => {
        const budget = smallest(items) + spare;
        const chosen = allocateBits(items, budget);
        expect(sum(items, chosen, 'bits')).toBeLessThanOrEqual(budget);
        let least = Number.POSITIVE_INFINITY;
        for (const other of allChoices(items)) {
          if (sum(items, other, 'bits') <= budget) least = Math.min(least, sum(items, other, 'loss'));
        }
        const losses = items.map((choices) => choices.map(({ loss }) => loss));
        const greatestStep = Math.max(...losses.map((all) => Math.max(...all) - Math.min(...all)));
        expect(sum(items, chosen, 'loss')).toBeLessThanOrEqual(least + greatestStep);
      }),
      { numRuns: 2000 },
    );
  });

  test('is optimal where the budget is what a Lagrange multiplier gives', () => {
    fc.assert(
      fc.property(itemsAndBudget, fc.integer({ min: 0, max: 100 }), ({ items }, multiplier) => {
        const best = items.map((choices) => {
          const costs = choices.map(({ bits, loss }) => loss + multiplier * bits);
          return costs.indexOf(Math.min(...costs));
        });
        const chosen = allocateBits(items, sum(items, best, 'bits'));
        expect(sum(items, chosen, 'loss')).toBeLessThanOrEqual(sum(items, best, 'loss'));
      }),
      { numRuns: 2000 },
    );
  });

  test('takes the best of all with enough', () => {
    fc.assert(
      fc.property(itemsAndBudget, ({ items }) => {
        const chosen = allocateBits(items, 1e9);
        const best = items.reduce(
          (total, choices) => total + Math.min(...choices.map(({ loss }) => loss)),
          0,
        );
        expect(sum(items, chosen, 'loss')).toBe(best);
      }),
    );
  });

  test.each([
    ['an item without choices', [[]], 10, /item 0 has no choice/],
    [
      'a loss that is no number',
      [[{ bits: 1, loss: Number.NaN }]],
      10,
      /item 0 has a choice of 1 bits and a loss of NaN/,
    ],
    [
      'a budget below the smallest choices',
      [[{ bits: 8, loss: 1 }]],
      7,
      /smallest choices take 8 bits, and the budget is 7/,
    ],
  ] as const)('refuses %s', (_, items, budget, message) => {
    expect(() => allocateBits(items, budget)).toThrow(InvalidArgumentError);
    expect(() => allocateBits(items, budget)).toThrow(message);
  });
});
