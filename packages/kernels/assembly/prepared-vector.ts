import { dotInt8, sumLanesI32, sumOfEachI32 } from './lanes';

// The activations of one token as the kernels of one token read them, a record for each unit of 64 columns:
//
//     x            [64] of X
//     correction   int32: factor * (sum of x)
//     scale        float32: of x
//     unused       8 bytes
//     block sums   [2 halves, 4] int32: sums of x over 8 columns, times a power of two, see `addSharedBits`
//
// Before the records are masks, see `Mask`. V8 builds a constant anew, in three instructions or more, wherever it is used; what was loaded stays in
// a register.
//
// X is i16 or, where relaxed SIMD multiplies bytes, i8. Levels are unsigned bytes that a mask and a shift widen to 16 bits; so int16 x are in
// the order even, odd of each 16 columns. Int8 x are in the order of the columns.

/** Where the masks are. */
export namespace Mask {
  /** The byte 15. */
  export const fifteen: usize = 0;
  /** `nibbleMask`, `nibbleTopMask`, `pairMask` and `singleMask` of codes.ts. */
  export const nibbles: usize = 16;
  export const nibbleTops: usize = 32;
  export const pairs: usize = 48;
  export const singles: usize = 64;
  /** 0x88 in the last 8 bytes, see codebook-levels.ts. */
  export const second: usize = 80;
  /** The int16 15 and 255. */
  export const lowNibbles: usize = 96;
  export const lowBytes: usize = 112;
  /** Of the shared bits that are taken together, see vector-linear.ts. */
  export const sharedBits: usize = 128;
  export const bytes: usize = 144;
}

function writeMasks(privateBits: u32, sharedBits: u32, target: usize): void {
  const singleShift = privateBits & 6;
  v128.store(target + Mask.fifteen, i8x16.splat(15));
  v128.store(target + Mask.nibbles, i8x16.splat(privateBits & 2 ? 0x33 : 0x11));
  v128.store(target + Mask.nibbleTops, i8x16.splat(0x44));
  v128.store(target + Mask.pairs, i8x16.splat(privateBits & 4 ? 0x30 : 3));
  v128.store(target + Mask.singles, i8x16.splat(<i8>(<u32>1 << singleShift)));
  v128.store(target + Mask.second, i64x2(0, 0x8888888888888888));
  v128.store(target + Mask.lowNibbles, i16x8.splat(15));
  v128.store(target + Mask.lowBytes, i16x8.splat(255));
  v128.store(target + Mask.sharedBits, sharedBits == 1 ? i32x4(1, 2, 0x10, 0x20) : i32x4(3, 0xc, 0x30, 0xc0));
}

/** Bytes of a record, and where its parts are. */
@inline
export function vectorRecordBytes<X>(): usize {
  return 64 * sizeof<X>() + 48;
}

@inline
export function correctionOffset<X>(): usize {
  return 64 * sizeof<X>();
}

@inline
export function scaleOffset<X>(): usize {
  return 64 * sizeof<X>() + 4;
}

@inline
export function blockSumsOffset<X>(): usize {
  return 64 * sizeof<X>() + 16;
}

/**
 * Writes the masks, and the records of one token's codes [units, 64], int16, and scales [units]. The block sums are for `sharedBits` (1 or 2),
 * the corrections for `factor`.
 */
@inline
export function prepareRecords<X>(
  codes: usize,
  scales: usize,
  units: u32,
  factor: i32,
  privateBits: u32,
  sharedBits: u32,
  target: usize,
): void {
  writeMasks(privateBits, sharedBits, target);
  target += Mask.bytes;
  const ones = i16x8.splat(1);
  const weights = sharedBits == 1 ? i32x4(32, 16, 2, 1) : i32x4(64, 16, 4, 1);
  for (let unit: u32 = 0; unit < units; unit++) {
    for (let quarter: u32 = 0; quarter < 4; quarter++) {
      const a = v128.load(codes + 32 * quarter);
      const b = v128.load(codes + 32 * quarter, 16);
      if (sizeof<X>() == 1) {
        v128.store(target + 16 * quarter, i8x16.narrow_i16x8_s(a, b));
      } else {
        v128.store(target + 32 * quarter, v128.shuffle<i16>(a, b, 0, 2, 4, 6, 8, 10, 12, 14));
        v128.store(target + 32 * quarter, v128.shuffle<i16>(a, b, 1, 3, 5, 7, 9, 11, 13, 15), 16);
      }
    }
    const half0 = sumOfEachI32(
      i32x4.dot_i16x8_s(v128.load(codes), ones),
      i32x4.dot_i16x8_s(v128.load(codes, 16), ones),
      i32x4.dot_i16x8_s(v128.load(codes, 64), ones),
      i32x4.dot_i16x8_s(v128.load(codes, 80), ones),
    );
    const half1 = sumOfEachI32(
      i32x4.dot_i16x8_s(v128.load(codes, 32), ones),
      i32x4.dot_i16x8_s(v128.load(codes, 48), ones),
      i32x4.dot_i16x8_s(v128.load(codes, 96), ones),
      i32x4.dot_i16x8_s(v128.load(codes, 112), ones),
    );
    store<i32>(target + correctionOffset<X>(), factor * sumLanesI32(i32x4.add(half0, half1)));
    store<f32>(target + scaleOffset<X>(), load<f32>(scales + 4 * unit));
    v128.store(target + blockSumsOffset<X>(), i32x4.mul(half0, weights));
    v128.store(target + blockSumsOffset<X>(), i32x4.mul(half1, weights), 16);
    codes += 128;
    target += vectorRecordBytes<X>();
  }
}

/** sum + (levels of 16 columns) * x, where `x0` and `x1` are what `loadEven` and `loadOdd` give. */
@inline
export function addProducts<X>(sum: v128, levels: v128, x0: v128, x1: v128, lowBytes: v128): v128 {
  if (sizeof<X>() == 1) {
    return i32x4.add(sum, i32x4.extadd_pairwise_i16x8_s(dotInt8(x0, levels)));
  } else {
    sum = i32x4.add(sum, i32x4.dot_i16x8_s(v128.and(levels, lowBytes), x0));
    return i32x4.add(sum, i32x4.dot_i16x8_s(i16x8.shr_u(levels, 8), x1));
  }
}

/** The x of a quarter: all as bytes, or those of its even columns. */
@inline
export function loadEven<X>(record: usize, quarter: i32): v128 {
  return v128.load(record + 16 * sizeof<X>() * quarter);
}

/** The x of the odd columns; of no use where x are bytes. */
@inline
export function loadOdd<X>(record: usize, quarter: i32): v128 {
  if (sizeof<X>() == 1) return i64x2.splat(0);
  return v128.load(record + 32 * quarter, 16);
}
