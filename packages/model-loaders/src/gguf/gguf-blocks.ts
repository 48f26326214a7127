import { bits32At, float16At, int8At } from './gguf-block-fields.js';
import { type BlockDequantizer, blockwise } from './gguf-dequantizer.js';

/** Half of a block of 32: element j has the low half of byte j, element j + 16 its high half. */
const HALF = 16;

/** f16 scale, 4-bit codes that count from -8. */
const q4_0: BlockDequantizer = (bytes, offset, target, index) => {
  const scale = float16At(bytes, offset);
  for (let j = 0; j < HALF; j++) {
    const pair = bytes[offset + 2 + j]!;
    target[index + j] = scale * ((pair & 15) - 8);
    target[index + j + HALF] = scale * ((pair >> 4) - 8);
  }
};

/** f16 scale, f16 minimum, 4-bit codes. */
const q4_1: BlockDequantizer = (bytes, offset, target, index) => {
  const scale = float16At(bytes, offset);
  const minimum = float16At(bytes, offset + 2);
  for (let j = 0; j < HALF; j++) {
    const pair = bytes[offset + 4 + j]!;
    target[index + j] = scale * (pair & 15) + minimum;
    target[index + j + HALF] = scale * (pair >> 4) + minimum;
  }
};

/** f16 scale, the fifth bits of 32 codes that count from -16, their low bits. */
const q5_0: BlockDequantizer = (bytes, offset, target, index) => {
  const scale = float16At(bytes, offset);
  const high = bits32At(bytes, offset + 2);
  for (let j = 0; j < HALF; j++) {
    const pair = bytes[offset + 6 + j]!;
    target[index + j] = scale * (((pair & 15) | (((high >>> j) & 1) << 4)) - 16);
    target[index + j + HALF] = scale * (((pair >> 4) | (((high >>> (j + HALF)) & 1) << 4)) - 16);
  }
};

/** f16 scale, f16 minimum, the fifth bits of 32 codes, their low bits. */
const q5_1: BlockDequantizer = (bytes, offset, target, index) => {
  const scale = float16At(bytes, offset);
  const minimum = float16At(bytes, offset + 2);
  const high = bits32At(bytes, offset + 4);
  for (let j = 0; j < HALF; j++) {
    const pair = bytes[offset + 8 + j]!;
    target[index + j] = scale * ((pair & 15) | (((high >>> j) & 1) << 4)) + minimum;
    target[index + j + HALF] = scale * ((pair >> 4) | (((high >>> (j + HALF)) & 1) << 4)) + minimum;
  }
};

/** f16 scale, 32 signed codes. */
const q8_0: BlockDequantizer = (bytes, offset, target, index) => {
  const scale = float16At(bytes, offset);
  for (let j = 0; j < 2 * HALF; j++) target[index + j] = scale * int8At(bytes, offset + 2 + j);
};

/** f16 scale, 128 bits: the scale where the bit is set, else its negative. */
const q1_0: BlockDequantizer = (bytes, offset, target, index) => {
  const scale = float16At(bytes, offset);
  for (let j = 0; j < 128; j++) {
    target[index + j] = scale * (((bytes[offset + 2 + (j >> 3)]! >> (j & 7)) & 1) * 2 - 1);
  }
};

/** f16 scale, 64 2-bit codes that count from -1, four in a byte. */
const q2_0: BlockDequantizer = (bytes, offset, target, index) => {
  const scale = float16At(bytes, offset);
  for (let j = 0; j < 64; j++) {
    target[index + j] = scale * (((bytes[offset + 2 + (j >> 2)]! >> (2 * (j & 3))) & 3) - 1);
  }
};

/** The types with one scale for a block. */
export const blockDequantizers = [
  blockwise('Q4_0', q4_0),
  blockwise('Q4_1', q4_1),
  blockwise('Q5_0', q5_0),
  blockwise('Q5_1', q5_1),
  blockwise('Q8_0', q8_0),
  blockwise('Q1_0', q1_0),
  blockwise('Q2_0', q2_0),
];
