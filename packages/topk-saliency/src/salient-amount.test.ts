import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type SalientAmount, salientCount } from './salient-amount.js';

describe('salientCount', () => {
  test.each<[SalientAmount, number]>([
    [{ count: 0 }, 0],
    [{ count: 1000 }, 1000],
    [{ fraction: 0 }, 0],
    [{ fraction: 0.0054 }, 5],
    [{ fraction: 0.0055 }, 6],
    [{ fraction: 1 }, 1000],
    [{ bits: 0, cost: 18 }, 0],
    [{ bits: 179, cost: 18 }, 9],
    [{ bits: 180, cost: 18 }, 10],
    [{ bits: 1e9, cost: 18 }, 1000],
    [{ bits: 0, cost: 0 }, 1000],
    [{ bits: 500, cost: (count) => 400 + 18 * count }, 5],
    [{ bits: 399, cost: (count) => 400 + 18 * count }, 0],
  ])('of %j among 1000 is %i', (amount, count) => {
    expect(salientCount(amount, 1000)).toBe(count);
  });

  test('by bits is the most that is within them', () => {
    const steps = fc.array(fc.nat(50), { minLength: 1, maxLength: 100 });
    fc.assert(
      fc.property(steps, fc.nat(3000), (costs, bits) => {
        const cost = (count: number) => costs.slice(0, count).reduce((sum, step) => sum + step, 7);
        const within = costs.filter((_, i) => cost(i + 1) <= bits).length;
        expect(salientCount({ bits, cost }, costs.length)).toBe(within);
      }),
    );
  });

  test('by a fraction is what rounding gives at any size', () => {
    expect(salientCount({ fraction: 0.005 }, 2 ** 40)).toBe(Math.round(0.005 * 2 ** 40));
  });

  test.each<[SalientAmount, RegExp]>([
    [{ count: -1 }, /count of salient weights is -1, not a whole number from 0 to 10/],
    [{ count: 11 }, /count of salient weights is 11/],
    [{ count: 1.5 }, /count of salient weights is 1.5/],
    [{ fraction: 1.01 }, /fraction of salient weights is 1.01, not from 0 to 1/],
    [{ fraction: Number.NaN }, /fraction of salient weights is NaN/],
    [{ bits: -1, cost: 18 }, /bits for salient weights is -1/],
    [{ bits: Number.POSITIVE_INFINITY, cost: 18 }, /bits for salient weights is Infinity/],
    [{ bits: 100, cost: -1 }, /cost of 5 salient weights is -5/],
    [{ bits: 100, cost: () => Number.NaN }, /cost of 5 salient weights is NaN/],
  ])('refuses %j', (amount, message) => {
    expect(() => salientCount(amount, 10)).toThrow(message);
  });
});
