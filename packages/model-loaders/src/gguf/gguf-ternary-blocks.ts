import { float16At } from './gguf-block-fields.js';
import { type BlockDequantizer, blockwise } from './gguf-dequantizer.js';

/** Byte `position`, number of bytes, and elements in a byte of each part of a TQ1_0 block. */
const parts = [
  [0, 32, 5],
  [32, 16, 5],
  [48, 4, 4],
] as const;

/**
 * Five digits of base 3 in a byte (four in the last four bytes), f16 scale. A byte is a fixed-point fraction of 256:
 * times 3 its integer part is the first digit, and what is left of the byte after a multiplication by 3 holds the
 * others. Digit d of byte j belongs to element d * (bytes of the part) + j of the part.
 */
const tq1_0: BlockDequantizer = (bytes, offset, target, index) => {
  const scale = float16At(bytes, offset + 52);
  let at = index;
  for (const [position, length, digits] of parts) {
    let power = 1;
    for (let digit = 0; digit < digits; digit++) {
      for (let j = 0; j < length; j++) {
        const fraction = (bytes[offset + position + j]! * power) & 255;
        target[at++] = scale * (((fraction * 3) >> 8) - 1);
      }
      power *= 3;
    }
  }
};

/** 2-bit codes that count from -1, f16 scale. The fields of a byte belong to elements 32 apart. */
const tq2_0: BlockDequantizer = (bytes, offset, target, index) => {
  const scale = float16At(bytes, offset + 64);
  for (let row = 0; row < 8; row++) {
    const codes = offset + (row >> 2) * 32;
    const shift = 2 * (row & 3);
    const at = index + row * 32;
    for (let j = 0; j < 32; j++) target[at + j] = scale * (((bytes[codes + j]! >> shift) & 3) - 1);
  }
};

/** The types of -1, 0 and 1. */
export const ternaryDequantizers = [blockwise('TQ1_0', tq1_0), blockwise('TQ2_0', tq2_0)];
