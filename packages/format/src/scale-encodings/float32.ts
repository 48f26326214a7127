import type { ScaleEncoding } from './scale-encoding.js';

const largestBits = 0x7f7fffff;
const value = new Float32Array(1);
const bits = new Uint32Array(value.buffer);

/** IEEE 754 binary32. */
export const float32Scale: ScaleEncoding = {
  name: 'float32',
  dtype: 'F32',
  bytes: 4,
  decode(code) {
    bits[0] = code;
    return value[0]!;
  },
  nearest(scale) {
    value[0] = scale;
    return Math.min(bits[0]!, largestBits);
  },
};
