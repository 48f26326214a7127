import { sumOfEachI32 } from './lanes';
import { correctionOffset, scaleOffset } from './prepared-vector';
import { QuantizedHeader } from './quantized-header';

/**
 * sum + a unit's part of four rows, of which s0 to s3 are the sums of unsigned levels times x: twice these less the offset of the levels, times
 * both scales. All integers are exact, so the bits are those of the panel (panel.ts). Where there are zero-points the correction is for each
 * unit of them.
 */
@inline
export function addUnit<X>(sum: v128, m: QuantizedHeader, record: usize, x: usize, s0: v128, s1: v128, s2: v128, s3: v128): v128 {
  let correction = v128.load32_splat(x + correctionOffset<X>());
  if (m.zeroPointOffset) {
    const zeroPoints = i16x8.extend_low_i8x16_u(v128.load32_zero(record + m.zeroPointOffset));
    correction = i32x4.mul(correction, i32x4.extend_low_i16x8_u(zeroPoints));
  }
  const products = i32x4.add(i32x4.shl(sumOfEachI32(s0, s1, s2, s3), 1), correction);
  const scales = f32x4.mul(v128.load(record + m.scaleOffset), v128.load32_splat(x + scaleOffset<X>()));
  return f32x4.add(sum, f32x4.mul(f32x4.convert_i32x4_s(products), scales));
}
