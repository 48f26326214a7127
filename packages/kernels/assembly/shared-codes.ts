import { QuantizedHeader } from './quantized-header';

/**
 * The shared bits of a unit, the first block's lowest, where a sharing block is 16 * 2^blockShift columns. At most 16 bits are
 * of use; the load may touch 3 bytes behind the row, which the owner of the matrix pads.
 */
@inline
export function unitSharedBits(row: usize, unit: u32, blockShift: u32, sharedBits: u32): u32 {
  const position = ((unit << 2) >> blockShift) * sharedBits;
  return load<u32>(row + (position >> 3)) >> (position & 7);
}

/**
 * The shared codes of a quarter's 16 columns, for sharing blocks of 2, 4 or 8. A lane has no shift of its own, so each bit is
 * fetched by a byte choice and a mask: `patterns` holds both for [quarter, bit].
 */
@inline
export function quarterSharedCodes(bits: v128, quarter: i32, m: QuantizedHeader): v128 {
  let codes: v128 = i64x2.splat(0);
  let pattern = m.patterns + 32 * quarter * m.sharedBits;
  for (let bit: u32 = 0; bit < m.sharedBits; bit++, pattern += 32) {
    const mask = v128.load(pattern, 16);
    const isSet = i8x16.eq(v128.and(v128.swizzle(bits, v128.load(pattern)), mask), mask);
    codes = v128.or(codes, v128.and(isSet, i8x16.splat(<i8>((<i32>1) << bit))));
  }
  return codes;
}
