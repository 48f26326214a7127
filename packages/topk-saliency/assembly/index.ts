// The two passes of a selection over scores, as bits of non-negative float32 numbers, whose order is that of the numbers.

/** Bins of the histograms: the upper 16 bits without the sign. */
const bins: usize = 1 << 15;
const signless: i32 = 0x7fffffff;

@inline
function increment(histogram: usize, bin: u32): void {
  const counter = histogram + (<usize>(bin & (<u32>bins - 1)) << 2);
  store<u32>(counter, load<u32>(counter) + 1);
}

/**
 * Adds `length` scores to the histograms [2, bins] of the upper 16 bits, two so that equal neighbours do not wait for
 * each other's store. Returns the greatest bits, sign included: above those of the largest finite number, a score may
 * be invalid.
 */
export function countScores(scores: usize, length: u32, histograms: usize): u32 {
  const odd = histograms + (bins << 2);
  const end = scores + (<usize>length << 2);
  const vectorEnd = scores + (<usize>(length & ~3) << 2);
  let greatest = i32x4.splat(0);
  let score = scores;
  for (; score < vectorEnd; score += 16) {
    const v = v128.load(score);
    greatest = i32x4.max_u(greatest, v);
    const low = i64x2.extract_lane(v, 0);
    const high = i64x2.extract_lane(v, 1);
    increment(histograms, <u32>(low >>> 16));
    increment(odd, <u32>(low >>> 48));
    increment(histograms, <u32>(high >>> 16));
    increment(odd, <u32>(high >>> 48));
  }
  for (; score < end; score += 4) {
    const bits = load<u32>(score);
    greatest = i32x4.max_u(greatest, i32x4.splat(bits));
    increment(histograms, bits >>> 16);
  }
  greatest = i32x4.max_u(greatest, v128.shuffle<i32>(greatest, greatest, 2, 3, 0, 1));
  greatest = i32x4.max_u(greatest, v128.shuffle<i32>(greatest, greatest, 1, 0, 3, 2));
  return i32x4.extract_lane(greatest, 0);
}

/** Lanes are all ones where the score's bits are above `below`. */
@inline
function above(score: usize, below: v128): v128 {
  return i32x4.gt_s(v128.and(v128.load(score), i32x4.splat(signless)), below);
}

/**
 * Writes `first` + i, ascending, for each of the `length` scores whose bits without the sign are at least `least`;
 * returns how many. Most groups of 16 have none and cost four comparisons.
 */
export function findScores(scores: usize, length: u32, least: i32, first: u32, indices: usize): u32 {
  const below = i32x4.splat(least - 1);
  const vectorLength = length & ~15;
  let next = indices;
  let i: u32 = 0;
  for (; i < vectorLength; i += 16) {
    const score = scores + (<usize>i << 2);
    const a = above(score, below);
    const b = above(score + 16, below);
    const c = above(score + 32, below);
    const d = above(score + 48, below);
    if (!v128.any_true(v128.or(v128.or(a, b), v128.or(c, d)))) continue;
    const halves = i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d));
    for (let found = i8x16.bitmask(halves); found; found &= found - 1) {
      store<u32>(next, first + i + ctz(found));
      next += 4;
    }
  }
  for (; i < length; i++) {
    if ((load<i32>(scores + (<usize>i << 2)) & signless) < least) continue;
    store<u32>(next, first + i);
    next += 4;
  }
  return <u32>((next - indices) >>> 2);
}
