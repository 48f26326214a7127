const float32 = new Float32Array(1);
const bits32 = new Uint32Array(float32.buffer);

/** IEEE 754 binary16 bits of `value`, rounded to nearest, ties to even. Overflow gives infinity. */
export function float16FromNumber(value: number): number {
  float32[0] = value;
  // A double would round twice; the values that are stored here all come from float32.
  const bits = bits32[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const exponent = (bits >>> 23) & 0xff;
  const mantissa = bits & 0x7fffff;
  if (exponent === 0xff) return sign | 0x7c00 | (mantissa ? 0x200 | (mantissa >>> 13) : 0);
  const unbiased = exponent - 127;
  if (unbiased > 15) return sign | 0x7c00;
  if (unbiased >= -14) return sign | roundToEven(((unbiased + 15) << 23) | mantissa, 13);
  if (unbiased < -25) return sign;
  return sign | roundToEven(mantissa | 0x800000, 13 + (-14 - unbiased));
}

/** Drops the low `count` bits; a carry out of the mantissa rightly raises the exponent. */
function roundToEven(bits: number, count: number): number {
  const half = 1 << (count - 1);
  const kept = bits >>> count;
  const rest = bits & ((1 << count) - 1);
  return kept + (rest > half || (rest === half && kept & 1) ? 1 : 0);
}

/** Value of IEEE 754 binary16 bits. Exact. */
export function numberFromFloat16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const mantissa = bits & 0x3ff;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 31) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1024 + mantissa) * 2 ** (exponent - 25);
}

let float16Table: Float32Array | undefined;

/** The values of all 65,536 binary16 numbers, by their bits (256 KiB, made on first use). */
export function float16Values(): Float32Array {
  float16Table ??= Float32Array.from({ length: 65536 }, (_, bits) => numberFromFloat16(bits));
  return float16Table;
}

/** Converts binary16 bits to float32 through a table of all values. */
export function float32FromFloat16(
  source: Uint16Array,
  target = new Float32Array(source.length),
): Float32Array {
  const values = float16Values();
  for (let i = 0; i < source.length; i++) target[i] = values[source[i]!]!;
  return target;
}

/** Converts bfloat16 bits to float32. Exact. */
export function float32FromBfloat16(
  source: Uint16Array,
  target = new Float32Array(source.length),
): Float32Array {
  const bits = new Uint32Array(target.buffer, target.byteOffset, target.length);
  for (let i = 0; i < source.length; i++) bits[i] = source[i]! << 16;
  return target;
}

/** Converts float32 to bfloat16 bits, rounded to nearest, ties to even. Overflow gives infinity; a NaN stays one. */
export function bfloat16FromFloat32(
  source: Float32Array,
  target = new Uint16Array(source.length),
): Uint16Array {
  const bits = new Uint32Array(source.buffer, source.byteOffset, source.length);
  for (let i = 0; i < source.length; i++) {
    target[i] = Number.isNaN(source[i]) ? (bits[i]! >>> 16) | 0x40 : roundToEven(bits[i]!, 16);
  }
  return target;
}

/** Converts float32 to binary16 bits, rounded as `float16FromNumber` does. */
export function float16FromFloat32(
  source: Float32Array,
  target = new Uint16Array(source.length),
): Uint16Array {
  for (let i = 0; i < source.length; i++) target[i] = float16FromNumber(source[i]!);
  return target;
}

/** The smallest binary16 that is not below `value`, as bits; the largest finite one where there is none. */
export function float16NotBelow(value: number): number {
  const bits = Math.min(float16FromNumber(value), 0x7bff);
  return numberFromFloat16(bits) < value && bits < 0x7bff ? bits + 1 : bits;
}
