import { float16NotBelow } from '../float16.js';
import { float16Scale } from './float16.js';
import type { ScaleEncoding } from './scale-encoding.js';

/** The code of the scale 0. */
const zero = 255;

/** float32, so that every implementation has the same factors whatever its power function rounds to. */
const factors = Float32Array.from({ length: 256 }, (_, code) => (code === zero ? 0 : 2 ** (-code / 32)));

/**
 * A byte on a logarithmic grid of 32 steps an octave below a binary16 base of the row:
 * `scale = base * 2^(-code / 32)`; code 255 is the scale 0. Reaches 7.9 octaves with an error of at most 1.1 %.
 */
export const log8Scale: ScaleEncoding = {
  name: 'log8',
  dtype: 'U8',
  bytes: 1,
  base: { span: 'row', encoding: float16Scale, choose: float16NotBelow },
  decode: (code, base) => Math.fround(base * factors[code]!),
  nearest(scale, base) {
    if (!(scale > 0) || !(base > 0)) return zero;
    const code = Math.round(-32 * Math.log2(scale / base));
    return Math.min(Math.max(code, 0), zero - 1);
  },
};
