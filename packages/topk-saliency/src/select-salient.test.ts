import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Granularity } from './granularity.js';
import { type SalientSelection, selectSalient } from './select-salient.js';
import { selectTopK } from './top-k.js';

const matrix = fc
  .record({ rows: fc.integer({ min: 1, max: 9 }), columns: fc.integer({ min: 1, max: 23 }) })
  .chain(({ rows, columns }) =>
    fc.record({
      rows: fc.constant(rows),
      columns: fc.constant(columns),
      scores: fc
        .array(
          fc.oneof(
            fc.float({ min: 0, noNaN: true, noDefaultInfinity: true }),
            fc.integer({ min: 0, max: 2 }),
            fc.constantFrom(0, -0, 2 ** -149, 2 ** -148),
          ),
          { minLength: rows * columns, maxLength: rows * columns },
        )
        .map((values) => Float32Array.from(values)),
    }),
  );

const granularity: fc.Arbitrary<Granularity> = fc.oneof(
  fc.constantFrom<Granularity>('tensor', 'row'),
  fc.integer({ min: 1, max: 25 }).map((groupSize) => ({ groupSize })),
  fc.integer({ min: 1, max: 25 }).map((columnBlock) => ({ columnBlock })),
);

/** Name of the part that each weight is in, by definition. */
function partOf(index: number, columns: number, per: Granularity): string {
  const [row, column] = [Math.floor(index / columns), index % columns];
  if (per === 'tensor') return '';
  if (per === 'row') return `${row}`;
  if ('groupSize' in per) return `${row} ${Math.floor(column / per.groupSize)}`;
  return `${Math.floor(column / per.columnBlock)}`;
}

function indicesOfParts(scores: Float32Array, columns: number, per: Granularity): number[][] {
  const parts = new Map<string, number[]>();
  for (const index of scores.keys()) {
    const part = partOf(index, columns, per);
    parts.set(part, [...(parts.get(part) ?? []), index]);
  }
  return [...parts.values()];
}

describe('selectSalient', () => {
  test('takes of each part what a stable sort puts first', () => {
    fc.assert(
      fc.property(matrix, granularity, fc.nat(30), ({ rows, columns, scores }, per, seed) => {
        const parts = indicesOfParts(scores, columns, per);
        const count = seed % (Math.max(...parts.map(({ length }) => length)) + 1);
        const expected = parts.flatMap((indices) =>
          indices.sort((a, b) => scores[b]! - scores[a]! || a - b).slice(0, count),
        );
        const selected = selectSalient(scores, { rows, columns, per, amount: { count } });
        expect([...selected]).toEqual(expected.sort((a, b) => a - b));
      }),
      { numRuns: 500 },
    );
  });

  test('spreads a fraction over the parts: exactly in sum, evenly among parts of one size', () => {
    fc.assert(
      fc.property(
        matrix,
        granularity,
        fc.double({ min: 0, max: 1, noNaN: true }),
        ({ rows, columns, scores }, per, fraction) => {
          const chosen = new Set(selectSalient(scores, { rows, columns, per, amount: { fraction } }));
          const total = Math.round(fraction * scores.length);
          expect(chosen.size).toBe(total);
          for (const indices of indicesOfParts(scores, columns, per)) {
            const inside = indices.filter((index) => chosen.has(index));
            const share = (total * indices.length) / scores.length;
            expect(Math.abs(inside.length - share)).toBeLessThan(1);
            const lowest = Math.min(...inside.map((index) => scores[index]!));
            const left = indices.filter((index) => !chosen.has(index)).map((index) => scores[index]!);
            expect(Math.max(0, ...left)).toBeLessThanOrEqual(lowest);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  test('of the tensor, and of a part as large as it, is the top K', () => {
    fc.assert(
      fc.property(
        matrix,
        fc.double({ min: 0, max: 1, noNaN: true }),
        ({ rows, columns, scores }, fraction) => {
          const top = selectTopK(scores, Math.round(fraction * scores.length));
          for (const per of ['tensor', { columnBlock: columns }, { columnBlock: columns + 100 }] as const) {
            expect(selectSalient(scores, { rows, columns, per, amount: { fraction } })).toEqual(top);
          }
        },
      ),
    );
  });

  test('takes from each row as the order of rows says', () => {
    fc.assert(
      fc.property(matrix, fc.nat(), ({ rows, columns, scores }, seed) => {
        const count = seed % (columns + 1);
        const byRow = (values: Float32Array) => {
          const selected = selectSalient(values, { rows, columns, per: 'row', amount: { count } });
          return Array.from({ length: rows }, (_, row) =>
            [...selected].filter((i) => Math.floor(i / columns) === row).map((i) => i % columns),
          );
        };
        const reversed = Float32Array.from(scores, (_, i) => {
          const row = rows - 1 - Math.floor(i / columns);
          return scores[row * columns + (i % columns)]!;
        });
        expect(byRow(reversed)).toEqual(byRow(scores).reverse());
      }),
    );
  });

  test('spends bits on the whole matrix', () => {
    const scores = Float32Array.of(1, 2, 3, 4, 8, 7, 6, 5);
    const bits: SalientSelection = { rows: 2, columns: 4, amount: { bits: 60, cost: 15 }, per: 'row' };
    expect([...selectSalient(scores, bits)]).toEqual([2, 3, 4, 5]);
    expect([...selectSalient(scores, { ...bits, per: 'tensor' })]).toEqual([4, 5, 6, 7]);
  });

  test.each<[string, Partial<SalientSelection>, RegExp]>([
    ['a wrong number of scores', { rows: 3 }, /8 scores are not those of a \[3, 4\] matrix/],
    ['no rows', { rows: 0 }, /number of rows is 0, not a positive whole number/],
    ['half a column', { rows: 16, columns: 0.5 }, /number of columns is 0.5/],
    ['no group size', { per: { groupSize: 0 } }, /group size is 0, not a positive whole number/],
    ['a broken column block', { per: { columnBlock: 1.5 } }, /column block is 1.5/],
    ['more than the longest part has', { per: 'row', amount: { count: 5 } }, /from 0 to 4/],
    ['more than all', { per: 'row', amount: { fraction: 2 } }, /fraction of salient weights is 2/],
  ])('refuses %s', (_, change, message) => {
    const selection = { rows: 2, columns: 4, amount: { count: 1 }, ...change };
    expect(() => selectSalient(new Float32Array(8), selection)).toThrow(message);
  });

  test.each<Granularity>(['tensor', 'row', { groupSize: 2 }, { columnBlock: 2 }])(
    'refuses scores that are not valid, per %j',
    (per) => {
      for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, -1]) {
        const scores = Float32Array.of(1, 2, bad, 4);
        expect(() => selectSalient(scores, { rows: 2, columns: 2, per, amount: { count: 1 } })).toThrow(
          /at index 2 /,
        );
      }
    },
  );
});
