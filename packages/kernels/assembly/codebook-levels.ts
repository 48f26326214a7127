// The shared code of a block chooses one of 2^s codebooks of 2^b levels, unsigned bytes; the private codes index it. Kinds of codebooks:
//
//     void   one for the whole matrix: a vector, [16] levels.
//     bool   one for each quarter (b = 4): [2^s] vectors.
//     u8     two for each quarter: for its first 8 columns and for its last, where the nibble of shared bits chooses both. With b = 4
//            [16 nibbles, 2] vectors; with b < 4 both have room in one, [16 nibbles] vectors, and the last 8 columns index its second half.

/** Entries of a vector; every index is below 16, where the relaxed instruction does the same. */
@inline
function lookUp(table: v128, indices: v128): v128 {
  return ASC_FEATURE_RELAXED_SIMD ? i8x16.relaxed_swizzle(table, indices) : v128.swizzle(table, indices);
}

/** Half nibbles (codes.ts) whose last 8 columns index the second half of a vector, where `second` is 0x88 in the last 8 bytes. */
@inline
export function selectSecond<B, Kind>(nibbles: v128, second: v128): v128 {
  return isInteger<Kind>() && !isBoolean<Kind>() && offsetof<B>() < 4 ? v128.or(nibbles, second) : nibbles;
}

/** The levels of a quarter's 16 private codes, where `row` is 16 times its nibble of shared bits. */
@inline
export function codebookLevels<B, Kind>(codes: v128, tables: usize, row: usize): v128 {
  if (isVoid<Kind>()) return lookUp(v128.load(tables), codes);
  if (isBoolean<Kind>() || offsetof<B>() < 4) return lookUp(v128.load(tables + row), codes);
  const pair = tables + 2 * row;
  return v128.shuffle<i64>(lookUp(v128.load(pair), codes), lookUp(v128.load(pair, 16), codes), 0, 3);
}
