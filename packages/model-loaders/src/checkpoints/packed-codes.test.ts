import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { packedCode, packedWords } from './packed-codes.js';

describe('packedCode', () => {
  it('reads what a stream of bits holds, whatever the stride', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.array(fc.nat(255), { maxLength: 70 }),
        fc.integer({ min: 1, max: 3 }),
        (bits, bytes, stride) => {
          const codes = bytes.map((byte) => byte & (2 ** bits - 1));
          const stream = codes
            .map((code) => code.toString(2).padStart(bits, '0'))
            .reverse()
            .join('');
          const words = new Uint32Array(packedWords(codes.length, bits) * stride);
          for (let i = 0; i < stream.length; i++) {
            if (stream.at(-1 - i) === '1') words[(i >>> 5) * stride]! |= 1 << (i & 31);
          }
          codes.forEach((code, i) => {
            expect(packedCode(words, 0, stride, bits, i)).toBe(code);
          });
        },
      ),
    );
  });
});
