import { float32Scale } from './float32.js';
import type { ScaleEncoding } from './scale-encoding.js';

/** The code of the largest value, 448; the one above it is NaN. */
const largestCode = 0x7e;
const largest = 448;

/** Values of all 256 codes: sign, 4 bits of exponent with bias 7, 3 bits of mantissa; no infinity. */
const values = Float64Array.from({ length: 256 }, (_, code) => {
  const exponent = (code >>> 3) & 15;
  const mantissa = code & 7;
  const magnitude =
    (code & 0x7f) > largestCode
      ? Number.NaN
      : exponent === 0
        ? mantissa * 2 ** -9
        : (8 + mantissa) * 2 ** (exponent - 10);
  return code & 0x80 ? -magnitude : magnitude;
});

/** FP8 E4M3 (the variant without infinities) times a float32 scale of the whole tensor, as in NVFP4. */
export const e4m3Scale: ScaleEncoding = {
  name: 'e4m3',
  dtype: 'F8_E4M3',
  bytes: 1,
  base: { span: 'tensor', encoding: float32Scale, choose: (most) => float32Scale.nearest(most / largest, 1) },
  decode: (code, base) => Math.fround(base * values[code]!),
  nearest(scale, base) {
    if (!(scale > 0) || !(base > 0)) return 0;
    const value = scale / base;
    let code = 0;
    while (code < largestCode && value - values[code]! > values[code + 1]! - value) code++;
    return code;
  },
};
