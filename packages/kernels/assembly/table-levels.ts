import { quarterSharedCodes } from './shared-codes';

/**
 * The levels, unsigned bytes, of a quarter whose whole codes of b + s <= 6 bits (`offsetof<B>()` and `offsetof<S>()`) look into up to four
 * vectors of 16 levels. A swizzle gives 0 for an index past its own 16, so the vectors' answers are or-ed.
 */
@inline
export function tableLevels<B, S>(privateCodes: v128, quarter: i32, sharedBits: v128, patterns: usize, tables: usize): v128 {
  const codes = v128.or(i16x8.shl(privateCodes, offsetof<S>()), quarterSharedCodes<S>(sharedBits, quarter, patterns));
  let levels = v128.swizzle(v128.load(tables), codes);
  if (offsetof<B>() + offsetof<S>() > 4) {
    levels = v128.or(levels, v128.swizzle(v128.load(tables, 16), i8x16.sub(codes, i8x16.splat(16))));
  }
  if (offsetof<B>() + offsetof<S>() > 5) {
    levels = v128.or(levels, v128.swizzle(v128.load(tables, 32), i8x16.sub(codes, i8x16.splat(32))));
    levels = v128.or(levels, v128.swizzle(v128.load(tables, 48), i8x16.sub(codes, i8x16.splat(48))));
  }
  return levels;
}
