import type { DequantizedDtype } from './checkpoint-method.js';

/** Bits of float32: everything but the sign, infinity, the smallest normal binary16, and the largest value that rounds to a finite one. */
const MAGNITUDE = 0x7fffffff;
const INFINITY = 0x7f800000;
const SMALLEST_NORMAL = 0x38800000;
const LARGEST_FINITE = 0x477fefff;

/** In float32 the distance of neighbours is here 2^-24, which is the smallest binary16. */
const SUBNORMAL_SHIFT = 0.75;

/**
 * Rounds values in place to those that a type has, half to even; what is too large becomes infinite. The same as a conversion
 * to the type and back, without the detour over its bits.
 */
export function roundTo(
  dtype: DequantizedDtype,
  values: Float32Array<ArrayBuffer>,
): Float32Array<ArrayBuffer> {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  if (dtype === 'BF16') dropBits(bits, 16);
  if (dtype === 'F16') roundToFloat16(values, bits);
  return values;
}

/** Rounds away the low bits of a mantissa. A carry rightly raises the exponent; a NaN stays as it is. */
function dropBits(bits: Uint32Array, count: number): void {
  const half = (1 << (count - 1)) - 1;
  const mask = -1 << count;
  for (let i = 0; i < bits.length; i++) {
    const word = bits[i]!;
    if ((word & MAGNITUDE) <= INFINITY) bits[i] = (word + half + ((word >>> count) & 1)) & mask;
  }
}

function roundToFloat16(values: Float32Array, bits: Uint32Array): void {
  for (let i = 0; i < bits.length; i++) {
    const word = bits[i]!;
    const magnitude = word & MAGNITUDE;
    if (magnitude >= SMALLEST_NORMAL && magnitude <= LARGEST_FINITE) {
      bits[i] = (word + 0xfff + ((word >>> 13) & 1)) & -0x2000;
    } else if (magnitude < SMALLEST_NORMAL) {
      const rounded = Math.fround(Math.fround(Math.abs(values[i]!) + SUBNORMAL_SHIFT) - SUBNORMAL_SHIFT);
      values[i] = word >>> 31 ? -rounded : rounded;
    } else if (magnitude <= INFINITY) {
      bits[i] = (word & ~MAGNITUDE) | INFINITY;
    }
  }
}
