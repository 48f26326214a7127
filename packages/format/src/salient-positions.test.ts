import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeSalientPositions, encodeSalientPositions, expectedSalientBits } from './salient-positions.js';

/** Positions of a matrix in row-major order as counts and columns. */
function positionsOf(flat: readonly number[], rows: number, columns: number) {
  const counts = new Uint32Array(rows);
  for (const position of flat) counts[Math.floor(position / columns)]!++;
  return { counts, columns: Uint32Array.from(flat, (position) => position % columns) };
}

/** The encoding once more, a position at a time. */
function plainEncoding(flat: readonly number[], size: number): number[] {
  const isSalient = new Set(flat);
  const last = flat.at(-1) ?? -1;
  const bytes: number[] = [];
  let gap = 0;
  for (let position = 0; position < size && position <= last; position++) {
    if (isSalient.has(position)) {
      bytes.push(gap);
      gap = 0;
    } else if (++gap === 255) {
      bytes.push(255);
      gap = 0;
    }
  }
  return bytes;
}

const matrixWithPositions = fc
  .record({ rows: fc.integer({ min: 1, max: 40 }), columns: fc.integer({ min: 1, max: 700 }) })
  .chain(({ rows, columns }) =>
    fc.record({
      rows: fc.constant(rows),
      columns: fc.constant(columns),
      flat: fc
        .uniqueArray(fc.nat(rows * columns - 1), { maxLength: 60 })
        .map((positions) => positions.sort((a, b) => a - b)),
    }),
  );

describe('positions of salient weights', () => {
  test('are the gaps of a plain count, and come back', () => {
    fc.assert(
      fc.property(matrixWithPositions, ({ rows, columns, flat }) => {
        const positions = positionsOf(flat, rows, columns);
        const bytes = encodeSalientPositions(positions, rows, columns);
        expect([...bytes]).toEqual(plainEncoding(flat, rows * columns));
        if (flat.length > 0) expect(decodeSalientPositions(bytes, rows, columns)).toEqual(positions);
      }),
    );
  });

  test('any bytes are refused, or the one list of their positions', () => {
    const byte = fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 254, 255));
    fc.assert(
      fc.property(
        fc
          .uint8Array({ minLength: 1, maxLength: 30 })
          .chain(({ length }) => fc.array(byte, { minLength: length, maxLength: length })),
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 1, max: 300 }),
        (values, rows, columns) => {
          const bytes = Uint8Array.from(values);
          const end = values.reduce((sum, value) => sum + value + (value < 255 ? 1 : 0), 0);
          const isValid = values.at(-1) !== 255 && end <= rows * columns;
          if (isValid) {
            const positions = decodeSalientPositions(bytes, rows, columns);
            expect(encodeSalientPositions(positions, rows, columns)).toEqual(bytes);
          } else {
            expect(() => decodeSalientPositions(bytes, rows, columns)).toThrow(
              expect.objectContaining({ code: 'LBS_MALFORMED_FILE' }),
            );
          }
        },
      ),
      { numRuns: 1000 },
    );
  });

  test('reach every weight of a matrix whose positions need more than 32 bits', () => {
    const [rows, columns] = [3, 2 ** 31 - 1];
    const positions = { counts: Uint32Array.of(0, 0, 1), columns: Uint32Array.of(columns - 1) };
    const bytes = encodeSalientPositions(positions, rows, columns);
    expect(bytes.length).toBe(Math.floor((rows * columns - 1) / 255) + 1);
    expect(decodeSalientPositions(bytes, rows, columns)).toEqual(positions);
  });

  test.each([
    ['no bytes at all', [], /is empty/],
    ['a gap with nothing behind it', [0, 255], /ends in a gap/],
    ['a weight behind the last one', [199, 0, 0], /salient weight 1 lies outside of the 2 x 100 matrix/],
    ['a long gap that leaves the matrix', [255, 0], /salient weight 0 lies outside/],
  ])('%s: refused', (_, bytes, message) => {
    const decode = () =>
      decodeSalientPositions(Uint8Array.from(bytes), 2, 100, { file: 'a.safetensors', tensor: 'm.gaps' });
    expect(decode).toThrow(message);
    expect(decode).toThrow('a.safetensors, tensor "m.gaps"');
  });

  test.each([
    ['out of order', [2, 0], [9, 8], /row 0 do not ascend/],
    ['named twice', [0, 2], [9, 9], /row 1 do not ascend/],
    ['outside of the row', [1, 1], [0, 100], /row 1 do not ascend, or are not below 100/],
    ['fewer than counted', [1, 1], [0], /row 1/],
    ['more than counted', [1, 0], [0, 1], /name 1 of them, not 2/],
    ['counted in a row that does not exist', [1, 0, 1], [0, 1], /name 1 of them, not 2/],
  ])('%s: not stored', (_, counts, columns, message) => {
    const encode = () =>
      encodeSalientPositions(
        { counts: Uint32Array.from(counts), columns: Uint32Array.from(columns) },
        2,
        100,
      );
    expect(encode).toThrow(message);
    expect(encode).toThrow(expect.objectContaining({ code: 'LBS_INVALID_ARGUMENT' }));
  });
});

describe('the expected cost of a salient weight', () => {
  /** Numbers in [0, 1) that a seed fixes (mulberry32). */
  function createRandom(seed: number): () => number {
    let state = seed;
    return () => {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), state | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
  }

  test.each([0.0005, 0.002, 0.005, 0.01, 0.1, 0.5, 1])('is what is measured at a share of %f', (fraction) => {
    const [rows, columns] = [1000, 1000];
    const random = createRandom(1);
    const flat = Array.from({ length: rows * columns }, (_, i) => i).filter(() => random() < fraction);
    const gaps = encodeSalientPositions(positionsOf(flat, rows, columns), rows, columns);
    const measured = (8 * (gaps.length + flat.length)) / flat.length;
    // Three standard deviations of the gaps' mean at the smallest share, 500 weights.
    const tolerance = fraction < 0.002 ? 0.14 : 0.02;
    expect(Math.abs(measured / expectedSalientBits(fraction) - 1)).toBeLessThan(tolerance);
  });

  test('is 8 bits of residual and a byte of gap where every weight is salient', () => {
    expect(expectedSalientBits(1)).toBe(16);
  });

  test.each([0, -0.1, 1.1, Number.NaN])('is refused for a share of %f', (fraction) => {
    expect(() => expectedSalientBits(fraction)).toThrow(/above 0 and at most 1/);
  });
});
