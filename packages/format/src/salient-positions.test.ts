import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeSalientPositions, encodeSalientPositions, expectedSalientBits } from './salient-positions.js';

/** Positions of a matrix in row-major order as counts and columns. */
function positionsOf(flat: readonly number[], rows: number, columns: number) {
  const counts = new Uint32Array(rows);
  for (const position of flat) counts[Math.floor(position / columns)]!++;
  return { counts, columns: Uint32Array.from(flat, (position) => position % columns) };
}

/** The encoding once more, as a text of bits and by the text of SPEC 7.1. */
function plainEncoding(flat: readonly number[], size: number): number[] {
  const k = Array.from({ length: 60 }, (_, i) => i).find((i) => 27 * 2 ** i * flat.length >= 13 * size)!;
  let text = '';
  flat.forEach((position, i) => {
    const gap = position - (i > 0 ? flat[i - 1]! + 1 : 0);
    const low = (gap % 2 ** k).toString(2).padStart(k, '0').slice(0, k);
    text += `${'1'.repeat(Math.floor(gap / 2 ** k))}0${[...low].reverse().join('')}`;
  });
  const bytes = text.padEnd(8 * Math.ceil(text.length / 8), '0').match(/.{8}/g) ?? [];
  return bytes.map((bits) => Number.parseInt([...bits].reverse().join(''), 2));
}

const matrixWithPositions = fc
  .record({ rows: fc.integer({ min: 1, max: 40 }), columns: fc.integer({ min: 1, max: 700 }) })
  .chain(({ rows, columns }) =>
    fc.record({
      rows: fc.constant(rows),
      columns: fc.constant(columns),
      flat: fc
        .uniqueArray(fc.nat(rows * columns - 1), { minLength: 1, maxLength: 60 })
        .map((positions) => positions.sort((a, b) => a - b)),
    }),
  );

describe('positions of salient weights', () => {
  test('are the bits that the specification names, and come back', () => {
    fc.assert(
      fc.property(matrixWithPositions, ({ rows, columns, flat }) => {
        const positions = positionsOf(flat, rows, columns);
        const bytes = encodeSalientPositions(positions, rows, columns);
        expect([...bytes]).toEqual(plainEncoding(flat, rows * columns));
        expect(decodeSalientPositions(bytes, flat.length, rows, columns)).toEqual(positions);
      }),
    );
  });

  test('any bytes are refused, or the one list of their positions', () => {
    const byte = fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 128, 255));
    const outcomes = { accepted: 0, refused: 0 };
    fc.assert(
      fc.property(
        fc.array(byte, { maxLength: 6 }),
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 60 }),
        (values, total, rows, columns) => {
          const bytes = Uint8Array.from(values);
          const decode = () => decodeSalientPositions(bytes, total, rows, columns);
          let positions: ReturnType<typeof decode>;
          try {
            positions = decode();
          } catch (error) {
            expect(error).toMatchObject({ code: 'LBS_MALFORMED_FILE' });
            outcomes.refused++;
            return;
          }
          outcomes.accepted++;
          expect(encodeSalientPositions(positions, rows, columns)).toEqual(bytes);
        },
      ),
      { numRuns: 5000, seed: 1 },
    );
    expect(outcomes.accepted).toBeGreaterThan(100);
    expect(outcomes.refused).toBeGreaterThan(100);
  });

  test('reach every weight of a matrix whose positions need more than 32 bits', () => {
    const [rows, columns] = [3, 2 ** 31 - 1];
    const positions = { counts: Uint32Array.of(0, 0, 1), columns: Uint32Array.of(columns - 1) };
    const bytes = encodeSalientPositions(positions, rows, columns);
    expect(bytes.length).toBe(5);
    expect(decodeSalientPositions(bytes, 1, rows, columns)).toEqual(positions);
  });

  // With 2 of 200 weights salient there are 6 low bits: a byte is the code of a gap below 64, a bit in front.
  test.each([
    ['no bytes at all', [], /2 salient weights ends before number 0/],
    ['a byte too few', [0], /ends before number 1/],
    ['a byte too many', [0, 0, 0], /goes on behind the last one/],
    ['a bit behind the last position', [0, 0x40], /goes on behind/],
    [
      'a weight behind the last one',
      [0x07, 0b0000_1100, 0],
      /salient weight 1 lies outside of the 2 x 100 matrix/,
    ],
    ['a long gap that leaves the matrix', [0x0f, 0x00, 0], /salient weight 0 lies outside/],
    ['ones without an end', [0xff, 0xff], /ends before number 0/],
  ])('%s: refused', (_, bytes, message) => {
    const decode = () =>
      decodeSalientPositions(Uint8Array.from(bytes), 2, 2, 100, { file: 'a.safetensors', tensor: 'm.gaps' });
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
    expect(Math.abs(measured / expectedSalientBits(fraction) - 1)).toBeLessThan(0.01);
  });

  test('is 8 bits of residual and one of gap where every weight is salient', () => {
    expect(expectedSalientBits(1)).toBe(9);
  });

  test('is at most 0.13 bits above the entropy of the positions, below a twentieth of the weights', () => {
    for (let p = 1e-6; p < 0.05; p *= 1.01) {
      const entropy = -Math.log2(p) - ((1 - p) / p) * Math.log2(1 - p);
      expect(expectedSalientBits(p) - 8).toBeGreaterThanOrEqual(entropy);
      expect(expectedSalientBits(p) - 8).toBeLessThan(entropy + 0.13);
    }
  });

  test.each([1e-5, 0.002, 0.1, 0.3])('is that of the best number of low bits at a share of %f', (p) => {
    const costs = Array.from({ length: 24 }, (_, k) => 8 + k + 1 / (1 - (1 - p) ** (2 ** k)));
    expect(expectedSalientBits(p)).toBeCloseTo(Math.min(...costs), 9);
  });

  test.each([0, -0.1, 1.1, Number.NaN])('is refused for a share of %f', (fraction) => {
    expect(() => expectedSalientBits(fraction)).toThrow(/above 0 and at most 1/);
  });
});
