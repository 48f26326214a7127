import { bits32At, float16At, int8At } from './gguf-block-fields.js';
import { type BlockDequantizer, blockwise } from './gguf-dequantizer.js';

/*
 * The k-quants: super-blocks of 256 elements whose blocks of 16 or 32 have scales of a few bits. The 2-bit and 4-bit
 * fields of a byte belong to elements 32 apart: shifting 32 bytes gives 32 consecutive elements.
 */

/** 16 pairs of a 4-bit scale and a 4-bit minimum, 2-bit codes, f16 scale of scales, f16 scale of minimums. */
const q2_k: BlockDequantizer = (bytes, offset, target, index) => {
  const scales = float16At(bytes, offset + 80);
  const minimums = float16At(bytes, offset + 82);
  for (let block = 0; block < 16; block++) {
    const pair = bytes[offset + block]!;
    const scale = scales * (pair & 15);
    const minimum = minimums * (pair >> 4);
    const codes = offset + 16 + (block >> 3) * 32 + (block & 1) * 16;
    const shift = block & 6;
    const at = index + block * 16;
    for (let j = 0; j < 16; j++) target[at + j] = scale * ((bytes[codes + j]! >> shift) & 3) - minimum;
  }
};

/**
 * 256 third bits that are clear where 4 is subtracted, 2-bit codes, 16 6-bit scales that count from -32 (the low
 * halves in 8 bytes, the high bits in 4), f16 scale of scales.
 */
const q3_k: BlockDequantizer = (bytes, offset, target, index) => {
  const scales = float16At(bytes, offset + 108);
  for (let block = 0; block < 16; block++) {
    const low = (bytes[offset + 96 + (block & 7)]! >> (4 * (block >> 3))) & 15;
    const high = (bytes[offset + 104 + (block & 3)]! >> (2 * (block >> 2))) & 3;
    const scale = scales * ((low | (high << 4)) - 32);
    const side = (block & 1) * 16;
    const thirdBits = offset + side;
    const codes = offset + 32 + (block >> 3) * 32 + side;
    const shift = block & 6;
    const at = index + block * 16;
    for (let j = 0; j < 16; j++) {
      const code = (bytes[codes + j]! >> shift) & 3;
      target[at + j] = scale * (code + ((bytes[thirdBits + j]! >> (block >> 1)) & 1) * 4 - 4);
    }
  }
};

/*
 * Scale and minimum of block `i` of eight, 6 bits each, from 12 bytes: the first four of each fill the low six bits
 * of bytes 0 to 7, the others have their low halves in bytes 8 to 11 and their high bits on top of bytes 0 to 7.
 */

function scaleCode(bytes: Uint8Array, offset: number, i: number): number {
  if (i < 4) return bytes[offset + i]! & 63;
  return (bytes[offset + i + 4]! & 15) | ((bytes[offset + i - 4]! >> 6) << 4);
}

function minimumCode(bytes: Uint8Array, offset: number, i: number): number {
  if (i < 4) return bytes[offset + i + 4]! & 63;
  return (bytes[offset + i + 4]! >> 4) | ((bytes[offset + i]! >> 6) << 4);
}

/** f16 scale of scales, f16 scale of minimums, 8 pairs of those, 4-bit codes. */
const q4_k: BlockDequantizer = (bytes, offset, target, index) => {
  const scales = float16At(bytes, offset);
  const minimums = float16At(bytes, offset + 2);
  for (let block = 0; block < 8; block++) {
    const scale = scales * scaleCode(bytes, offset + 4, block);
    const minimum = minimums * minimumCode(bytes, offset + 4, block);
    const codes = offset + 16 + (block >> 1) * 32;
    const shift = 4 * (block & 1);
    const at = index + block * 32;
    for (let j = 0; j < 32; j++) target[at + j] = scale * ((bytes[codes + j]! >> shift) & 15) - minimum;
  }
};

/** As Q4_K, with 32 bytes of fifth bits in front of the codes: bit i of byte j for element j of block i. */
const q5_k: BlockDequantizer = (bytes, offset, target, index) => {
  const scales = float16At(bytes, offset);
  const minimums = float16At(bytes, offset + 2);
  for (let block = 0; block < 8; block++) {
    const scale = scales * scaleCode(bytes, offset + 4, block);
    const minimum = minimums * minimumCode(bytes, offset + 4, block);
    const fifthBits = offset + 16;
    const codes = offset + 48 + (block >> 1) * 32;
    const shift = 4 * (block & 1);
    const at = index + block * 32;
    for (let j = 0; j < 32; j++) {
      const high = (bytes[fifthBits + j]! >> block) & 1;
      target[at + j] = scale * (((bytes[codes + j]! >> shift) & 15) | (high << 4)) - minimum;
    }
  }
};

/** 128 bytes of low halves, 64 bytes of high bit pairs, 16 signed scales of 16 elements each, f16 scale of scales. */
const q6_k: BlockDequantizer = (bytes, offset, target, index) => {
  const scales = float16At(bytes, offset + 208);
  for (let block = 0; block < 16; block++) {
    const scale = scales * int8At(bytes, offset + 192 + block);
    const half = block >> 3;
    const row = (block >> 1) & 3;
    const side = (block & 1) * 16;
    const low = offset + half * 64 + (row & 1) * 32 + side;
    const lowShift = 4 * (row >> 1);
    const high = offset + 128 + half * 32 + side;
    const highShift = 2 * row;
    const at = index + block * 16;
    for (let j = 0; j < 16; j++) {
      const code = ((bytes[low + j]! >> lowShift) & 15) | (((bytes[high + j]! >> highShift) & 3) << 4);
      target[at + j] = scale * (code - 32);
    }
  }
};

const float32 = new Float32Array(1);
const bits32 = new Int32Array(float32.buffer);

/** f32 scale, 256 signed codes, their sums, which only products need. */
const q8_k: BlockDequantizer = (bytes, offset, target, index) => {
  bits32[0] = bits32At(bytes, offset);
  const scale = float32[0]!;
  for (let j = 0; j < 256; j++) target[index + j] = scale * int8At(bytes, offset + 4 + j);
};

/** The types whose blocks share scales of scales. */
export const superBlockDequantizers = [
  blockwise('Q2_K', q2_k),
  blockwise('Q3_K', q3_k),
  blockwise('Q4_K', q4_k),
  blockwise('Q5_K', q5_k),
  blockwise('Q6_K', q6_k),
  blockwise('Q8_K', q8_k),
];
