import { float16FromNumber, float16Values } from '../float16.js';
import type { ScaleEncoding } from './scale-encoding.js';

const largest = 65504;

/** IEEE 754 binary16. */
export const float16Scale: ScaleEncoding = {
  name: 'float16',
  dtype: 'F16',
  bytes: 2,
  decode: (code) => float16Values()[code]!,
  nearest: (scale) => float16FromNumber(Math.min(scale, largest)),
};
