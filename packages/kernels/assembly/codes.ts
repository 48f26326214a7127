// Private codes from their bit planes. A plane of p bits is 8p bytes a unit, field k of byte j holds code 8p * k + j,
// and the widest plane holds the lowest bits, so every quarter of a unit is a shift and a mask of whole vectors.
// `bits` and `quarter` are compile-time constants in every call: the branches vanish.

/** First vector of the 4-bit plane (codes 0-15 and 32-47). */
@inline
export function nibblesLow(unit: usize, bits: i32): v128 {
  return bits & 4 ? v128.load(unit) : i64x2.splat(0);
}

/** Second vector of the 4-bit plane (codes 16-31 and 48-63). */
@inline
export function nibblesHigh(unit: usize, bits: i32): v128 {
  return bits & 4 ? v128.load(unit, 16) : i64x2.splat(0);
}

/** The 2-bit plane: field k of byte j is code 16k + j. */
@inline
export function pairs(unit: usize, bits: i32): v128 {
  return bits & 2 ? v128.load(unit + (bits & 4 ? 32 : 0)) : i64x2.splat(0);
}

/** The 1-bit plane, arranged so that bit 2q of byte j is code 16q + j. */
@inline
export function singles(unit: usize, bits: i32): v128 {
  if (!(bits & 1)) return i64x2.splat(0);
  const plane = v128.load64_splat(unit + (bits & 4 ? 32 : 0) + (bits & 2 ? 16 : 0));
  return v128.shuffle<i64>(plane, i16x8.shr_u(plane, 1), 0, 2);
}

/** Moves the field at bit `from` of every byte to bit `to` and clears the rest. Whole 16-bit lanes are shifted; the mask drops what crosses. */
@inline
function moveField(bytes: v128, from: i32, to: i32, mask: i32): v128 {
  const moved = from > to ? i16x8.shr_u(bytes, from - to) : from < to ? i16x8.shl(bytes, to - from) : bytes;
  return v128.and(moved, i8x16.splat(<i8>(mask << to)));
}

/** The 16 private codes of a quarter. `unit` is read for 8-bit codes only, the planes for all others. */
@inline
export function quarterCodes(unit: usize, bits: i32, quarter: i32, low: v128, high: v128, two: v128, one: v128): v128 {
  if (bits == 8) return v128.load(unit + 16 * quarter);
  let codes: v128 = i64x2.splat(0);
  if (bits & 4) codes = moveField(quarter & 1 ? high : low, quarter < 2 ? 0 : 4, 0, 15);
  if (bits & 2) {
    const field = moveField(two, 2 * quarter, bits & 4, 3);
    codes = bits & 4 ? v128.or(codes, field) : field;
  }
  if (bits & 1) {
    const field = moveField(one, 2 * quarter, bits & 6, 1);
    codes = bits & 6 ? v128.or(codes, field) : field;
  }
  return codes;
}
