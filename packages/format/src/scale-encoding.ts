import { float16FromNumber, numberFromFloat16 } from './float16.js';

/**
 * How the scales of a row's groups are stored.
 * - `float16`: one binary16 a group.
 * - `log8`: one byte a group on a logarithmic grid below a binary16 base a row:
 *   `scale = base * 2^(-code / 32)`; code 255 is the scale 0.
 */
export type ScaleEncoding = 'float16' | 'log8';

export const scaleEncodings: readonly ScaleEncoding[] = ['float16', 'log8'];

/** Bytes of one group's scale. */
export const bytesPerScale: Readonly<Record<ScaleEncoding, number>> = { float16: 2, log8: 1 };

/** Bytes of the base that a row stores once. */
export const bytesPerScaleBase: Readonly<Record<ScaleEncoding, number>> = { float16: 0, log8: 2 };

/** The `log8` code of the scale 0. */
export const log8Zero = 255;

/** float32, so that every implementation has the same factors whatever its power function rounds to. */
const log8Factors = Float32Array.from({ length: 256 }, (_, code) =>
  code === log8Zero ? 0 : 2 ** (-code / 32),
);

/** The scale that a `log8` code stands for, as a float32. */
export function decodeLog8(base: number, code: number): number {
  return Math.fround(base * log8Factors[code]!);
}

/** The `log8` code whose scale is nearest to `scale` on the logarithmic grid. */
export function encodeLog8(base: number, scale: number): number {
  if (!(scale > 0) || !(base > 0)) return log8Zero;
  const code = Math.round(-32 * Math.log2(scale / base));
  return Math.min(Math.max(code, 0), log8Zero - 1);
}

/** The smallest binary16 that is not below `scale`, as bits; the largest finite one where there is none. */
export function float16NotBelow(scale: number): number {
  const bits = Math.min(float16FromNumber(scale), 0x7bff);
  return numberFromFloat16(bits) < scale && bits < 0x7bff ? bits + 1 : bits;
}
