import type { ScaleEncoding } from './scale-encoding.js';

const largestBits = 0x7f7f;
const value = new Float32Array(1);
const bits = new Uint32Array(value.buffer);

/** bfloat16: the upper half of a binary32, so the range of float32 with 8 bits of precision. */
export const bfloat16Scale: ScaleEncoding = {
  name: 'bfloat16',
  dtype: 'BF16',
  bytes: 2,
  decode(code) {
    bits[0] = code << 16;
    return value[0]!;
  },
  nearest(scale) {
    value[0] = scale;
    // To nearest, ties to even; a carry out of the mantissa rightly raises the exponent.
    const rounded = (bits[0]! + 0x7fff + ((bits[0]! >>> 16) & 1)) >>> 16;
    return Math.min(rounded, largestBits);
  },
};
