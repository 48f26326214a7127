import { float16FromNumber } from '@lbs/format';
import { type BlockQuantizer, blockwiseQuantizer } from './gguf-quantizer.js';

/*
 * The reference rounding of ggml-quants.c. It computes in float32, so that every step is rounded here: the rounding of
 * a sum, product or quotient of two float32 from double to float32 is that of the exact result.
 */
const { fround } = Math;

const BLOCK = 32;
const HALF = 16;

export function writeFloat16(value: number, target: Uint8Array, offset: number): void {
  const bits = float16FromNumber(value);
  target[offset] = bits;
  target[offset + 1] = bits >> 8;
}

/** 0 for a scale so small that its reciprocal is no number: its values are zeros in binary16. */
export function reciprocal(scale: number): number {
  const inverse = fround(1 / scale);
  return Number.isFinite(inverse) ? inverse : 0;
}

/** The value that is farthest from zero, the first of several. */
export function farthestFromZero(values: Float32Array, index: number): number {
  let farthest = 0;
  for (let j = 0; j < BLOCK; j++) {
    const value = values[index + j]!;
    if (Math.abs(value) > Math.abs(farthest)) farthest = value;
  }
  return farthest;
}

/** The scale makes -8 of the value that is farthest from zero; codes count from -8. */
const q4_0: BlockQuantizer = (values, index, target, offset) => {
  const scale = fround(farthestFromZero(values, index) / -8);
  const inverse = reciprocal(scale);
  writeFloat16(scale, target, offset);
  const codeOf = (value: number) => Math.min(15, Math.trunc(fround(fround(value * inverse) + 8.5)));
  for (let j = 0; j < HALF; j++) {
    target[offset + 2 + j] = codeOf(values[index + j]!) | (codeOf(values[index + j + HALF]!) << 4);
  }
};

/** The codes span the values from the least to the greatest. */
const q4_1: BlockQuantizer = (values, index, target, offset) => {
  let least = values[index]!;
  let greatest = least;
  for (let j = 1; j < BLOCK; j++) {
    const value = values[index + j]!;
    if (value < least) least = value;
    if (value > greatest) greatest = value;
  }
  const scale = fround(fround(greatest - least) / 15);
  const inverse = reciprocal(scale);
  writeFloat16(scale, target, offset);
  writeFloat16(least, target, offset + 2);
  const codeOf = (value: number) =>
    Math.min(15, Math.trunc(fround(fround(fround(value - least) * inverse) + 0.5)));
  for (let j = 0; j < HALF; j++) {
    target[offset + 4 + j] = codeOf(values[index + j]!) | (codeOf(values[index + j + HALF]!) << 4);
  }
};

/** The scale makes 127 of the greatest magnitude; ties are rounded away from zero. */
const q8_0: BlockQuantizer = (values, index, target, offset) => {
  const scale = fround(Math.abs(farthestFromZero(values, index)) / 127);
  const inverse = reciprocal(scale);
  writeFloat16(scale, target, offset);
  for (let j = 0; j < BLOCK; j++) {
    const scaled = fround(values[index + j]! * inverse);
    // The half added to a magnitude is exact in double precision, as roundf needs.
    const magnitude = Math.floor(Math.abs(scaled) + 0.5);
    target[offset + 2 + j] = scaled < 0 ? -magnitude : magnitude;
  }
};

/** The types with evenly spaced levels. */
export const blockQuantizers = [
  blockwiseQuantizer('Q4_0', 2, q4_0),
  blockwiseQuantizer('Q4_1', 3, q4_1),
  blockwiseQuantizer('Q8_0', 7, q8_0),
];
