import { quarterCodes } from './codes';
import { unitSharedBits } from './shared-codes';

// The shared code of a block chooses one of 2^s codebooks of 16 levels, the private codes index it. With blocks of 16 * 2^k columns a
// quarter has one codebook; with blocks of 8 (`Halves` is bool) it has two.

/** A unit's shared bits, times 16: masked, they are the offset of a codebook. */
@inline
export function unitCodebooks<Halves>(shared: usize, unit: u32, blockShift: u32, sharedBits: u32): u64 {
  if (isBoolean<Halves>()) return (<u64>load<u32>(shared + unit * sharedBits)) << 4;
  return (<u64>unitSharedBits(shared, unit, blockShift, sharedBits)) << 4;
}

/** How far to shift `unitCodebooks` for quarter 1, 2 or 3. */
@inline
export function quarterShift<Halves>(quarter: u32, blockShift: u32, sharedBits: u32): u64 {
  if (isBoolean<Halves>()) return 2 * quarter * sharedBits;
  return (quarter >> blockShift) * sharedBits;
}

/** The levels of a quarter, whose codebooks `rows` begins with. */
@inline
export function codebookLevels<B, Halves>(
  packed: usize,
  quarter: i32,
  low: v128,
  high: v128,
  two: v128,
  one: v128,
  tables: usize,
  rows: u64,
  sharedBits: u64,
  mask: usize,
): v128 {
  const codes = quarterCodes<B>(packed, quarter, low, high, two, one);
  const first = v128.swizzle(v128.load(tables + (<usize>rows & mask)), codes);
  if (isBoolean<Halves>()) {
    const second = v128.swizzle(v128.load(tables + (<usize>(rows >> sharedBits) & mask)), codes);
    return v128.shuffle<i64>(first, second, 0, 3);
  }
  return first;
}
