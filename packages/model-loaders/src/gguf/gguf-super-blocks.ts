import { numberFromFloat16 } from '@lbs/format';
import { type BlockDequantizer, blockwise } from './gguf-dequantizer.js';

/** Elements of a super-block, and of those of its blocks that have a scale and a minimum. */
const SUPER_BLOCK = 256;
const BLOCK = 32;

/**
 * Scale and minimum of block `i` of eight, 6 bits each, from 12 bytes: the first four of each fill the low six bits
 * of bytes 0 to 7, the others have their low halves in bytes 8 to 11 and their high bits on top of bytes 0 to 7.
 */
function scaleAndMinimum(view: DataView, offset: number, i: number): readonly [number, number] {
  const byte = (at: number) => view.getUint8(offset + at);
  if (i < 4) return [byte(i) & 63, byte(i + 4) & 63];
  return [(byte(i + 4) & 15) | ((byte(i - 4) >> 6) << 4), (byte(i + 4) >> 4) | ((byte(i) >> 6) << 4)];
}

/** f16 scale of scales, f16 scale of minimums, 8 pairs of those, then `codes` of 8 blocks of 32. */
function withMinimums(
  codeOf: (view: DataView, offset: number, block: number, j: number) => number,
): BlockDequantizer {
  return (view, offset, target, index) => {
    const scales = numberFromFloat16(view.getUint16(offset, true));
    const minimums = numberFromFloat16(view.getUint16(offset + 2, true));
    for (let block = 0; block < SUPER_BLOCK / BLOCK; block++) {
      const [scaleCode, minimumCode] = scaleAndMinimum(view, offset + 4, block);
      const scale = scales * scaleCode;
      const minimum = minimums * minimumCode;
      for (let j = 0; j < BLOCK; j++) {
        target[index + block * BLOCK + j] = scale * codeOf(view, offset + 16, block, j) - minimum;
      }
    }
  };
}

/** Two blocks share 32 bytes: the even one has their low halves, the odd one their high halves. */
function nibble(view: DataView, offset: number, block: number, j: number): number {
  return (view.getUint8(offset + (block >> 1) * BLOCK + j) >> (4 * (block & 1))) & 15;
}

const q4_k = withMinimums(nibble);

/** 32 bytes of fifth bits, bit i of byte j for block i, then the low bits. */
const q5_k = withMinimums(
  (view, offset, block, j) =>
    nibble(view, offset + BLOCK, block, j) | (((view.getUint8(offset + j) >> block) & 1) << 4),
);

/** 128 bytes of low halves, 64 bytes of high bit pairs, 16 signed scales of 16 elements each, f16 scale of scales. */
const q6_k: BlockDequantizer = (view, offset, target, index) => {
  const scales = numberFromFloat16(view.getUint16(offset + 208, true));
  for (let i = 0; i < SUPER_BLOCK; i++) {
    const half = i >> 7;
    const row = (i >> 5) & 3;
    const j = i & 31;
    const low = (view.getUint8(offset + half * 64 + (row & 1) * 32 + j) >> (4 * (row >> 1))) & 15;
    const high = (view.getUint8(offset + 128 + half * 32 + j) >> (2 * row)) & 3;
    const scale = scales * view.getInt8(offset + 192 + (i >> 4));
    target[index + i] = scale * ((low | (high << 4)) - 32);
  }
};

/** The types with super-blocks of 256 elements. */
export const superBlockDequantizers = [
  blockwise('Q4_K', SUPER_BLOCK, 144, q4_k),
  blockwise('Q5_K', SUPER_BLOCK, 176, q5_k),
  blockwise('Q6_K', SUPER_BLOCK, 210, q6_k),
];
