import { truncate } from './lanes';

const log2e: f32 = 1.44269504;
// ln 2 in two parts: the product of the first, of 9 bits, with a whole number up to 2^15 is exact.
const ln2High: f32 = 0.693359375;
const ln2Low: f32 = -2.12194440e-4;

@inline
function polynomial(sum: v128, r: v128, coefficient: f32): v128 {
  return f32x4.add(f32x4.mul(sum, r), f32x4.splat(coefficient));
}

/** 2^n of whole numbers n in [-126, 127]. */
@inline
function powerOfTwo(n: v128): v128 {
  return i32x4.shl(i32x4.add(n, i32x4.splat(127)), 23);
}

/**
 * e^x of four float32 within 2 ulp (results below 2^-126 within 2 of their own smallest steps). 0 for -Infinity, Infinity above
 * 88.73, NaN for NaN. Range reduction by powers of two and Cephes' polynomial of degree 6.
 */
@inline
export function exponential(x: v128): v128 {
  x = f32x4.min(f32x4.max(x, f32x4.splat(-105)), f32x4.splat(90));
  const n = f32x4.nearest(f32x4.mul(x, f32x4.splat(log2e)));
  const r = f32x4.sub(f32x4.sub(x, f32x4.mul(n, f32x4.splat(ln2High))), f32x4.mul(n, f32x4.splat(ln2Low)));
  let sum: v128 = f32x4.splat(1.9875691500e-4);
  sum = polynomial(sum, r, 1.3981999507e-3);
  sum = polynomial(sum, r, 8.3334519073e-3);
  sum = polynomial(sum, r, 4.1665795894e-2);
  sum = polynomial(sum, r, 1.6666665459e-1);
  sum = polynomial(sum, r, 5.0000001201e-1);
  sum = f32x4.add(f32x4.add(f32x4.mul(sum, f32x4.mul(r, r)), r), f32x4.splat(1));
  // Two factors, because 2^n itself leaves the normal range at both ends.
  const whole = truncate(n);
  const half = i32x4.shr_s(whole, 1);
  return f32x4.mul(f32x4.mul(sum, powerOfTwo(half)), powerOfTwo(i32x4.sub(whole, half)));
}

/** values[i] = e^values[i]. */
export function exponentials(values: usize, length: u32): void {
  const end = values + 4 * (length & ~3);
  for (; values < end; values += 16) v128.store(values, exponential(v128.load(values)));
  for (let i: u32 = 0; i < (length & 3); i++, values += 4) {
    store<f32>(values, f32x4.extract_lane(exponential(v128.load32_splat(values)), 0));
  }
}
