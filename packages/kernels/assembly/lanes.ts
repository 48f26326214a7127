/** Sum of the four lanes, as (0 + 2) + (1 + 3). */
@inline
export function sumLanes(v: v128): f32 {
  const pairs = f32x4.add(v, v128.shuffle<i32>(v, v, 2, 3, 0, 1));
  return f32x4.extract_lane(pairs, 0) + f32x4.extract_lane(pairs, 1);
}

/** Sum of the four lanes, int32. */
@inline
export function sumLanesI32(v: v128): i32 {
  const pairs = i32x4.add(v, v128.shuffle<i32>(v, v, 2, 3, 0, 1));
  return i32x4.extract_lane(pairs, 0) + i32x4.extract_lane(pairs, 1);
}

/** Lane i is the sum of the lanes of the i-th vector, float32. */
@inline
export function sumOfEachF32(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<i32>(a, b, 0, 4, 1, 5), v128.shuffle<i32>(a, b, 2, 6, 3, 7));
  const cd = f32x4.add(v128.shuffle<i32>(c, d, 0, 4, 1, 5), v128.shuffle<i32>(c, d, 2, 6, 3, 7));
  return f32x4.add(v128.shuffle<i32>(ab, cd, 0, 1, 4, 5), v128.shuffle<i32>(ab, cd, 2, 3, 6, 7));
}

/** Lane i is the sum of the lanes of the i-th vector, int32. */
@inline
export function sumOfEachI32(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = i32x4.add(v128.shuffle<i32>(a, b, 0, 4, 1, 5), v128.shuffle<i32>(a, b, 2, 6, 3, 7));
  const cd = i32x4.add(v128.shuffle<i32>(c, d, 0, 4, 1, 5), v128.shuffle<i32>(c, d, 2, 6, 3, 7));
  return i32x4.add(v128.shuffle<i32>(ab, cd, 0, 1, 4, 5), v128.shuffle<i32>(ab, cd, 2, 3, 6, 7));
}

/** Stores the first `count` (1 to 4) lanes. */
@inline
export function storeLanes(target: usize, v: v128, count: u32): void {
  if (count >= 4) {
    v128.store(target, v);
    return;
  }
  v128.store_lane<f32>(target, v, 0);
  if (count > 1) v128.store_lane<f32>(target, v, 1, 4);
  if (count > 2) v128.store_lane<f32>(target, v, 2, 8);
}

/**
 * Lane i is a[2i] * b[2i] + a[2i + 1] * b[2i + 1], int16, for int8 a of -128 to 127 and b of 0 to 127: at most 2 * 128 * 127 < 2^15. The relaxed
 * instruction is one multiplication of x86, and defined for such b only.
 */
@inline
export function dotInt8(a: v128, b: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i16x8.relaxed_dot_i8x16_i7x16_s(a, b);
  const low = i16x8.extmul_low_i8x16_s(a, b);
  const high = i16x8.extmul_high_i8x16_s(a, b);
  const even = v128.shuffle<i16>(low, high, 0, 2, 4, 6, 8, 10, 12, 14);
  const odd = v128.shuffle<i16>(low, high, 1, 3, 5, 7, 9, 11, 13, 15);
  return i16x8.add(even, odd);
}

/** Whole numbers between -2^31 and 2^31 as int32; NaN gives any number. The relaxed instruction spares the care for all others. */
@inline
export function truncate(whole: v128): v128 {
  return ASC_FEATURE_RELAXED_SIMD ? i32x4.relaxed_trunc_f32x4_s(whole) : i32x4.trunc_sat_f32x4_s(whole);
}
