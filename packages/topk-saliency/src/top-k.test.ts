import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { selectTopK } from './top-k.js';

function selectBySorting(scores: Float32Array, k: number): number[] {
  const order = [...scores.keys()].sort((a, b) => scores[b]! - scores[a]! || a - b);
  return order.slice(0, k).sort((a, b) => a - b);
}

/** Scores of all magnitudes, subnormal ones, both zeros, and many ties. */
const anyScore = fc.oneof(
  fc.float({ min: 0, noNaN: true, noDefaultInfinity: true }),
  fc.integer({ min: 0, max: 3 }),
  fc.integer({ min: 0, max: 9 }).map((multiple) => multiple * 2 ** -149),
  fc.constant(-0),
);

/** Ties in the upper 16 bits, and few values of the lower ones. */
const closeScore = fc.integer({ min: 0, max: 40 }).map((steps) => 1 + steps * 2 ** -23);

describe('selectTopK', () => {
  test.each([
    ['any scores', anyScore],
    ['scores that differ in their lowest bits', closeScore],
  ])('equals a stable sort on %s', (_, score) => {
    fc.assert(
      fc.property(fc.array(score, { maxLength: 300 }), fc.nat(), (values, seed) => {
        const scores = Float32Array.from(values);
        const k = seed % (scores.length + 1);
        expect([...selectTopK(scores, k)]).toEqual(selectBySorting(scores, k));
      }),
      { numRuns: 300 },
    );
  });

  test.each([1, 15, 16, 17, 16383, 16384, 16385, 40000])(
    'equals a stable sort on %i scores, whatever the chunk they are in',
    (length) => {
      const scores = Float32Array.from({ length }, (_, i) => ((i * 7919) % 1009) / 1009);
      for (const k of [0, 1, length >>> 8, length >>> 1, length - 1, length]) {
        expect([...selectTopK(scores, k)]).toEqual(selectBySorting(scores, k));
      }
    },
  );

  test('takes the first of equal scores', () => {
    const scores = new Float32Array(20000).fill(0.25);
    expect([...selectTopK(scores, 17000)]).toEqual([...scores.keys()].slice(0, 17000));
    expect([...selectTopK(Float32Array.of(1, 2, 2, 2, 1), 2)]).toEqual([1, 2]);
  });

  test('holds -0 equal to 0', () => {
    expect([...selectTopK(Float32Array.of(-0, 0, 1, -0, 0), 3)]).toEqual([0, 1, 2]);
  });

  test('reads a view that begins inside of its buffer', () => {
    const scores = Float32Array.of(9, 9, 1, 3, 2).subarray(2);
    expect([...selectTopK(scores, 1)]).toEqual([1]);
  });

  test('finds in the scores of a second call nothing of the first', () => {
    selectTopK(
      Float32Array.from({ length: 100 }, () => 5),
      50,
    );
    expect([...selectTopK(Float32Array.of(1, 2), 1)]).toEqual([1]);
  });

  test('does not change the scores', () => {
    const scores = Float32Array.of(3, 1, 2);
    selectTopK(scores, 2);
    expect([...scores]).toEqual([3, 1, 2]);
  });

  test('selects none of no scores', () => {
    expect([...selectTopK(new Float32Array(), 0)]).toEqual([]);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1, -1e-45])(
    'refuses the score %s and says where it is',
    (bad) => {
      for (const place of [0, 1, 2, 3, 4, 5, 6, 16384, 16385, 16386, 16387, 20000, 20001, 20002]) {
        const scores = new Float32Array(place < 10 ? 7 : 20003);
        scores[place] = bad;
        expect(() => selectTopK(scores, 1)).toThrow(`at index ${place} is not`);
      }
    },
  );

  test.each([-1, 1.5, 4, Number.NaN])('refuses k = %s', (k) => {
    expect(() => selectTopK(Float32Array.of(1, 2, 3), k)).toThrow(/from 0 to 3/);
  });
});
