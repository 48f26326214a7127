import type { ScaleEncoding } from './scale-encoding.js';

const bias = 127;
const notANumber = 255;

/**
 * E8M0 of the OCP Microscaling Formats (MX) specification 1.0: a power of two, `scale = 2^(code - 127)`; code 255 is
 * NaN. There is no scale 0, so a level table needs a zero for groups without weights.
 */
export const e8m0Scale: ScaleEncoding = {
  name: 'e8m0',
  dtype: 'U8',
  bytes: 1,
  decode: (code) => (code === notANumber ? Number.NaN : 2 ** (code - bias)),
  nearest(scale) {
    if (!(scale > 0)) return 0;
    const code = Math.round(Math.log2(scale)) + bias;
    return Math.min(Math.max(code, 0), notANumber - 1);
  },
};
