import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bitPlanes, packCodes, packSharedCodes, unpackCodes, unpackSharedCodes } from './bit-planes.js';

const packedRow = (codes: Uint8Array, bits: number) => {
  const packed = new Uint8Array(Math.ceil(codes.length / 64) * 8 * bits);
  packCodes(codes, bits, packed);
  return packed;
};

describe('bit planes', () => {
  test('add up to every width', () => {
    for (let bits = 1; bits <= 8; bits++) expect(bitPlanes(bits).reduce((a, b) => a + b, 0)).toBe(bits);
    expect(bitPlanes(7)).toEqual([4, 2, 1]);
  });

  test('the example of SPEC 4: codes 0 to 7 again and again, in 3 bits', () => {
    const codes = Uint8Array.from({ length: 64 }, (_, i) => i % 8);
    const hex = Array.from(packedRow(codes, 3), (byte) => byte.toString(16).padStart(2, '0')).join('');
    // 2-bit plane: byte j holds the low bits of codes j, j+16, j+32, j+48; 1-bit plane: those above.
    expect(hex).toBe('0055aaff0055aaff0055aaff0055aaff00000000ffffffff');
  });

  test('the example of SPEC 4: one code of each place, in 4 bits', () => {
    const codes = new Uint8Array(64);
    codes[0] = 0x1;
    codes[31] = 0x2;
    codes[32] = 0x3;
    codes[63] = 0xf;
    const packed = packedRow(codes, 4);
    expect([packed[0], packed[31]]).toEqual([0x31, 0xf2]);
    expect(packed.subarray(1, 31).every((byte) => byte === 0)).toBe(true);
  });

  test('unpacking gives back the codes, for any width and length', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.uint8Array({ minLength: 1, maxLength: 200 }),
        (bits, bytes) => {
          const codes = bytes.map((byte) => byte & ((1 << bits) - 1));
          const unpacked = new Uint8Array(codes.length).fill(0xff);
          unpackCodes(packedRow(codes, bits), bits, unpacked);
          expect(unpacked).toEqual(codes);
        },
      ),
    );
  });

  test('padding of the last unit is code 0', () => {
    const packed = packedRow(new Uint8Array(65).fill(1), 1);
    expect([...packed.subarray(8)]).toEqual([1, 0, 0, 0, 0, 0, 0, 0]);
  });
});

describe('shared codes', () => {
  test('lowest bits of a byte come first', () => {
    const packed = new Uint8Array(2).fill(0xff);
    packSharedCodes(Uint8Array.of(1, 2, 3, 0, 3), 2, packed);
    expect([...packed]).toEqual([0b00_11_10_01, 0b11]);
  });

  test('unpacking gives back the codes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4 }), fc.uint8Array({ maxLength: 60 }), (bits, bytes) => {
        const codes = bytes.map((byte) => byte & ((1 << bits) - 1));
        const packed = new Uint8Array(Math.ceil((codes.length * bits) / 8));
        packSharedCodes(codes, bits, packed);
        const unpacked = new Uint8Array(codes.length);
        unpackSharedCodes(packed, bits, unpacked);
        expect(unpacked).toEqual(codes);
      }),
    );
  });
});
