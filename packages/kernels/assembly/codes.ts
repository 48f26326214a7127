// Private codes from their bit planes. A plane of p bits is 8p bytes a unit, field k of byte j holds code 8p * k + j,
// and the widest plane holds the lowest bits, so every quarter of a unit is a shift and a mask of whole vectors.
// `offsetof<B>()` is the number of bits, see bits.ts.

/** First vector of the 4-bit plane (codes 0-15 and 32-47). */
@inline
export function nibblesLow<B>(unit: usize): v128 {
  if (offsetof<B>() & 4) return v128.load(unit);
  return i64x2.splat(0);
}

/** Second vector of the 4-bit plane (codes 16-31 and 48-63). */
@inline
export function nibblesHigh<B>(unit: usize): v128 {
  if (offsetof<B>() & 4) return v128.load(unit, 16);
  return i64x2.splat(0);
}

/** The 2-bit plane: field k of byte j is code 16k + j. */
@inline
export function pairs<B>(unit: usize): v128 {
  if (offsetof<B>() & 2) return v128.load(unit, 8 * (offsetof<B>() & 4));
  return i64x2.splat(0);
}

/** The 1-bit plane, arranged so that bit 2q of byte j is code 16q + j. */
@inline
export function singles<B>(unit: usize): v128 {
  if (offsetof<B>() & 1) {
    const plane = v128.load64_splat(unit, 8 * (offsetof<B>() & 6));
    return v128.shuffle<i64>(plane, i16x8.shr_u(plane, 1), 0, 2);
  }
  return i64x2.splat(0);
}

/** Moves bit `from` of every byte to bit `to`. Whole 16-bit lanes are shifted: a mask must drop what crosses. */
@inline
export function moveBit(bytes: v128, from: i32, to: i32): v128 {
  if (from > to) return i16x8.shr_u(bytes, from - to);
  if (from < to) return i16x8.shl(bytes, to - from);
  return bytes;
}

/** Where the field of the 2-bit plane is in a code of B bits. */
@inline
export function pairMask<B>(): v128 {
  return i8x16.splat(<i8>(offsetof<B>() & 4 ? 0x30 : 3));
}

/** Where the field of the 1-bit plane is. */
@inline
export function singleMask<B>(): v128 {
  const to = offsetof<B>() & 6;
  return i8x16.splat(<i8>(to == 6 ? 0x40 : to == 4 ? 0x10 : to == 2 ? 4 : 1));
}

/** The 16 private codes of a quarter. `unit` is read for 8-bit codes only, the planes for all others. */
@inline
export function quarterCodes<B>(unit: usize, quarter: i32, low: v128, high: v128, two: v128, one: v128): v128 {
  return maskedCodes<B>(unit, quarter, low, high, two, one, i8x16.splat(15), pairMask<B>(), singleMask<B>());
}

/** `quarterCodes` with masks from elsewhere: the byte 15, `pairMask` and `singleMask`. */
@inline
export function maskedCodes<B>(
  unit: usize,
  quarter: i32,
  low: v128,
  high: v128,
  two: v128,
  one: v128,
  fifteen: v128,
  pair: v128,
  single: v128,
): v128 {
  if (offsetof<B>() == 8) return v128.load(unit + 16 * quarter);
  let codes: v128 = i64x2.splat(0);
  if (offsetof<B>() & 4) codes = v128.and(moveBit(quarter & 1 ? high : low, quarter < 2 ? 0 : 4, 0), fifteen);
  if (offsetof<B>() & 2) {
    const field = v128.and(moveBit(two, 2 * quarter, <i32>(offsetof<B>() & 4)), pair);
    codes = offsetof<B>() & 4 ? v128.or(codes, field) : field;
  }
  if (offsetof<B>() & 1) {
    const field = v128.and(moveBit(one, 2 * quarter, <i32>(offsetof<B>() & 6)), single);
    codes = offsetof<B>() & 6 ? v128.or(codes, field) : field;
  }
  return codes;
}

/** The mask of `halfNibbles` for the wider of two planes. */
@inline
export function nibbleMask<B>(): v128 {
  return i8x16.splat(<i8>(offsetof<B>() & 2 ? 0x33 : 0x11));
}

/** The mask of `halfNibbles` for the narrower of two planes. */
@inline
export function nibbleTopMask(): v128 {
  return i8x16.splat(0x44);
}

/**
 * Private codes of at most 4 bits of a half as nibbles: the low nibble of byte j is code j of quarter `half`, the high one is code j of
 * quarter `half + 2`.
 */
@inline
export function halfNibbles<B>(unit: usize, half: i32, mask: v128, topMask: v128): v128 {
  if (offsetof<B>() == 4) return v128.load(unit + 16 * half);
  if (offsetof<B>() == 1) return v128.and(moveBit(singles<B>(unit), 2 * half, 0), mask);
  const low = v128.and(moveBit(pairs<B>(unit), 2 * half, 0), mask);
  if (offsetof<B>() == 2) return low;
  return v128.or(low, v128.and(moveBit(singles<B>(unit), 2 * half, 2), topMask));
}
