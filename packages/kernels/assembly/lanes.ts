/** Sum of the four lanes, as (0 + 2) + (1 + 3). */
@inline
export function sumLanes(v: v128): f32 {
  const pairs = f32x4.add(v, v128.shuffle<i32>(v, v, 2, 3, 0, 1));
  return f32x4.extract_lane(pairs, 0) + f32x4.extract_lane(pairs, 1);
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
