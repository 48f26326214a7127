import { bfloat16Scale } from './scale-encodings/bfloat16.js';
import { e4m3Scale } from './scale-encodings/e4m3.js';
import { e8m0Scale } from './scale-encodings/e8m0.js';
import { float16Scale } from './scale-encodings/float16.js';
import { float32Scale } from './scale-encodings/float32.js';
import { log8Scale } from './scale-encodings/log8.js';
import type { ScaleEncoding } from './scale-encodings/scale-encoding.js';

export type { ScaleBase, ScaleEncoding } from './scale-encodings/scale-encoding.js';

/** Every scale encoding by its name in `quantization_config`. */
export const scaleEncodings = {
  float16: float16Scale,
  bfloat16: bfloat16Scale,
  float32: float32Scale,
  log8: log8Scale,
  e8m0: e8m0Scale,
  e4m3: e4m3Scale,
} as const satisfies Record<string, ScaleEncoding>;

/** A scale encoding's name in `quantization_config`. */
export type ScaleEncodingName = keyof typeof scaleEncodings;

/** The encoding that a format names. */
export function scaleEncodingOf(format: { readonly scaleEncoding: ScaleEncodingName }): ScaleEncoding {
  return scaleEncodings[format.scaleEncoding];
}

/** Reads code `i` of little-endian codes of `size` bytes. */
export function readScaleCode(bytes: Uint8Array, size: number, i: number): number {
  let code = 0;
  for (let k = size - 1; k >= 0; k--) code = code * 256 + bytes[size * i + k]!;
  return code;
}

/** Writes `code` as number `i` of little-endian codes of `size` bytes. */
export function writeScaleCode(bytes: Uint8Array, size: number, i: number, code: number): void {
  for (let k = 0; k < size; k++) bytes[size * i + k] = code >>> (8 * k);
}
