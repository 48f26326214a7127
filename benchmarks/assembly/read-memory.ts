/** Reads the bytes from `start` up to `end`, a multiple of 64 of them, and returns a number that depends on all. */
export function readMemory(start: usize, end: usize): i32 {
  let a: v128 = i64x2.splat(0);
  let b: v128 = i64x2.splat(0);
  let c: v128 = i64x2.splat(0);
  let d: v128 = i64x2.splat(0);
  for (; start < end; start += 64) {
    a = v128.xor(a, v128.load(start));
    b = v128.xor(b, v128.load(start, 16));
    c = v128.xor(c, v128.load(start, 32));
    d = v128.xor(d, v128.load(start, 48));
  }
  return i32x4.extract_lane(v128.xor(v128.xor(a, b), v128.xor(c, d)), 0);
}
