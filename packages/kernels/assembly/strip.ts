/** A *strip* is 16 rows of a matrix as [columns, 16]: a row in each lane. These are its bytes of a column of float32. */
export const stripStride: u32 = 64;

/** The mask of four lanes from four bytes, 0 or 255. */
@inline
export function laneMask(bytes: usize): v128 {
  return i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(v128.load32_zero(bytes)));
}

/** Sixteen int32 from 0 to 255 as bytes. */
@inline
export function storeBytes(target: usize, a: v128, b: v128, c: v128, d: v128): void {
  v128.store(target, i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_u(a, b), i16x8.narrow_i32x4_u(c, d)));
}

/** Rounds what a dense code leaves of salient weights to a multiple of sigma; returns the residual codes, 0 in other lanes. */
@inline
export function residualCodes(left: v128, inverseSigma: v128, mask: v128): v128 {
  const code = f32x4.nearest(f32x4.mul(left, inverseSigma));
  return v128.and(f32x4.min(f32x4.max(code, f32x4.splat(-127)), f32x4.splat(127)), mask);
}
