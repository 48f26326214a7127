import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { selectTopK } from './top-k.js';

function selectBySorting(scores: Float32Array, k: number): number[] {
  const order = [...scores.keys()].sort((a, b) => scores[b]! - scores[a]! || a - b);
  return order.slice(0, k).sort((a, b) => a - b);
}

describe('selectTopK', () => {
  test('equals a stable sort on random scores, with many ties', () => {
    const score = fc.oneof(
      fc.float({ min: 0, noNaN: true, noDefaultInfinity: true }),
      fc.integer({ min: 0, max: 3 }),
    );
    fc.assert(
      fc.property(fc.array(score, { maxLength: 300 }), fc.nat(), (values, seed) => {
        const scores = Float32Array.from(values, Math.abs);
        const k = seed % (scores.length + 1);
        expect([...selectTopK(scores, k)]).toEqual(selectBySorting(scores, k));
      }),
      { numRuns: 500 },
    );
  });

  test('breaks ties by the lower index', () => {
    expect([...selectTopK(Float32Array.of(1, 2, 2, 2, 1), 2)]).toEqual([1, 2]);
  });

  test('takes none and all, subnormals included', () => {
    const scores = Float32Array.of(1e-45, 0, 3e38);
    expect([...selectTopK(scores, 0)]).toEqual([]);
    expect([...selectTopK(scores, 2)]).toEqual([0, 2]);
    expect([...selectTopK(scores, 3)]).toEqual([0, 1, 2]);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, -1])(
    'refuses the score %s and says where it is',
    (bad) => {
      expect(() => selectTopK(Float32Array.of(1, bad, 2), 1)).toThrow(/at index 1 /);
    },
  );

  test.each([-1, 1.5, 4])('refuses k = %s', (k) => {
    expect(() => selectTopK(Float32Array.of(1, 2, 3), k)).toThrow(/from 0 to 3/);
  });
});
