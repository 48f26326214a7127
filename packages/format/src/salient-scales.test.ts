import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  chooseSalientScales,
  decodeSalientScales,
  encodeSalientScales,
  largestResidual,
} from './salient-scales.js';

const largestFloat16 = 65504;
const step = 2 ** (1 / 32);

/** The greatest difference of each row, over many orders of magnitude, some 0. */
const differences = fc.array(
  fc.oneof(
    fc.constant(0),
    fc.double({ min: 2 ** -40, max: 1e6, noNaN: true }),
    fc.integer({ min: -40, max: 20 }).map((exponent) => 2 ** exponent),
    fc.double({ min: 0.01, max: 10, noNaN: true }),
  ),
  { minLength: 1, maxLength: 40 },
);

describe('scales of salient weights', () => {
  test('hold the greatest difference of every row, are no larger than they must be, and are storable', () => {
    fc.assert(
      fc.property(differences, (largest) => {
        const scales = chooseSalientScales(largest);
        const base = Math.max(...largest) / largestResidual;
        // The base is a binary16: within 2^-10 of what is asked for, or the next multiple of 2^-24.
        const grid = base * (1 + 2 ** -10) + 2 ** -24;
        largest.forEach((difference, r) => {
          const ideal = difference / largestResidual;
          expect(scales[r]).toBeGreaterThanOrEqual(ideal);
          if (difference === 0) expect(scales[r]).toBe(0);
          else
            expect(scales[r]! / step).toBeLessThanOrEqual(
              Math.max(ideal * (1 + 1e-6), grid * 2 ** (-254 / 32)),
            );
        });
        const stored = encodeSalientScales(scales);
        expect(decodeSalientScales(stored)).toEqual(scales);
      }),
      { numRuns: 1000 },
    );
  });

  test('are clamped beyond 127 times the largest binary16', () => {
    const scales = chooseSalientScales([3e38, 127 * largestFloat16, 0]);
    expect([...scales]).toEqual([largestFloat16, largestFloat16, 0]);
    expect(encodeSalientScales(scales)).toEqual({ codes: Uint8Array.of(0, 0, 255), base: 0x7bff });
  });

  test('of zero alone have the base 0', () => {
    expect(encodeSalientScales(chooseSalientScales([0, 0]))).toEqual({
      codes: Uint8Array.of(255, 255),
      base: 0,
    });
  });

  test.each([
    ['between two steps', [0.5, 0.3]],
    ['no binary16 times a step', [0.1]],
    ['too small beside the largest', [1, 2 ** -8]],
    ['negative', [1, -1]],
    ['infinite', [Number.POSITIVE_INFINITY]],
    ['not a number', [1, Number.NaN]],
  ])('%s: not stored', (_, scales) => {
    expect(() => encodeSalientScales(Float32Array.from(scales))).toThrow(
      /Choose the scales of a matrix with/,
    );
  });

  test('any base with all codes is read and written again, or refused', () => {
    const codes = Uint8Array.from({ length: 256 }, (_, code) => code);
    const bases = Array.from({ length: 65536 }, (_, base) => base).filter((base) => base % 37 === 1);
    for (const base of [...bases, 2, 3, 0x3ff, 0x400, 0x7bff, 0x7c00, 0x7e00, 0x8000, 0xfc00]) {
      const stored = { codes, base };
      if (base < 0x7c00) expect(encodeSalientScales(decodeSalientScales(stored))).toEqual(stored);
      else expect(() => decodeSalientScales(stored)).toThrow(/is not the smallest binary16 from the largest/);
    }
  });

  test.each([
    ['a base above the largest scale', [1, 255], 0x3c00, /the base 1 is not the smallest/, 'base'],
    ['a base without a scale other than 0', [255], 0x0001, /not the smallest/, 'base'],
    ['codes relative to 0', [255, 7], 0, /code 7 stands for a scale of 0.*number 1/, 'codes'],
  ])('%s: refused', (_, codes, base, message, tensor) => {
    const decode = () =>
      decodeSalientScales(
        { codes: Uint8Array.from(codes), base },
        { codes: { tensor: 'codes' }, base: { tensor: 'base' } },
      );
    expect(decode).toThrow(message);
    expect(decode).toThrow(expect.objectContaining({ tensor, code: 'LBS_MALFORMED_FILE' }));
  });

  test('relative to a subnormal base need not have the code 0', () => {
    const scales = chooseSalientScales([largestResidual * 2.5 * 2 ** -24]);
    const stored = encodeSalientScales(scales);
    expect(stored).toEqual({ codes: Uint8Array.of(8), base: 3 });
    expect(decodeSalientScales(stored)).toEqual(scales);
  });
});
