import { halfNibbles, maskedCodes, nibblesHigh, nibblesLow, pairs, singles } from './codes';
import { dotInt8, storeLanes } from './lanes';
import { addProducts, blockSumsOffset, loadEven, loadOdd, Mask, vectorRecordBytes } from './prepared-vector';
import { QuantizedHeader } from './quantized-header';
import { addUnit } from './vector-unit';

/** sum + (the private codes of a row's half) * x. The branch keeps V8 from loading everything ahead of all arithmetic. */
@inline
function addHalf<B, X>(
  sum: v128,
  zero: u32,
  unit: usize,
  half: i32,
  x0: v128,
  x1: v128,
  x2: v128,
  x3: v128,
  fifteen: v128,
  pair: v128,
  single: v128,
  lowBytes: v128,
): v128 {
  if (zero) return sum;
  if (offsetof<B>() <= 4) {
    const nibbles = halfNibbles<B>(unit, half, pair, single);
    if (sizeof<X>() == 1) {
      const products = i16x8.add(
        dotInt8(x0, v128.and(nibbles, fifteen)),
        dotInt8(x2, v128.and(i16x8.shr_u(nibbles, 4), fifteen)),
      );
      return i32x4.add(sum, i32x4.extadd_pairwise_i16x8_s(products));
    } else {
      sum = i32x4.add(sum, i32x4.dot_i16x8_s(v128.and(nibbles, lowBytes), x0));
      sum = i32x4.add(sum, i32x4.dot_i16x8_s(v128.and(i16x8.shr_u(nibbles, 8), lowBytes), x1));
      sum = i32x4.add(sum, i32x4.dot_i16x8_s(v128.and(i16x8.shr_u(nibbles, 4), lowBytes), x2));
      return i32x4.add(sum, i32x4.dot_i16x8_s(i16x8.shr_u(nibbles, 12), x3));
    }
  } else {
    const low = nibblesLow<B>(unit);
    const high = nibblesHigh<B>(unit);
    const two = pairs<B>(unit);
    const one = singles<B>(unit);
    const codes0 = maskedCodes<B>(unit, half, low, high, two, one, fifteen, pair, single);
    const codes2 = maskedCodes<B>(unit, half + 2, low, high, two, one, fifteen, pair, single);
    if (sizeof<X>() == 1 && offsetof<B>() < 7) {
      const products = i16x8.add(
        dotInt8(x0, codes0),
        dotInt8(x2, codes2),
      );
      return i32x4.add(sum, i32x4.extadd_pairwise_i16x8_s(products));
    } else {
      return addProducts<X>(addProducts<X>(sum, codes0, x0, x1, lowBytes), codes2, x2, x3, lowBytes);
    }
  }
}

/**
 * 2^s * sum + (the shared codes of a row's unit) * (sums of x over 8 columns). Lane j of a half has the code at bit s * (j & 1) + 4 * (j >> 1) of
 * its byte, and `masks` drop all others; the sums make up for where it is, so all lanes have the same power of two too much.
 */
@inline
function addSharedBits<X>(sum: v128, shared: usize, x: usize, masks: v128, sharedBits: u32): v128 {
  const sums = x + blockSumsOffset<X>();
  const products = i32x4.add(
    i32x4.mul(v128.and(v128.load32_splat(shared), masks), v128.load(sums)),
    i32x4.mul(v128.and(v128.load32_splat(shared, 1), masks), v128.load(sums, 16)),
  );
  return i32x4.add(i32x4.shl(sum, sharedBits), i32x4.shr_s(products, 4 + sharedBits));
}

/** The rows of a matrix whose levels are codes: of private bits alone, or with bits shared by pairs. */
export function linearRows<B, X>(m: QuantizedHeader, x: usize, output: usize, row: u32, end: u32, lanes: u32): void {
  const zero = m.zero;
  const s = m.sharedBits;
  const isNarrow = offsetof<B>() <= 4;
  const fifteen = v128.load(x + Mask.fifteen);
  const pair = v128.load(x + (isNarrow ? Mask.nibbles : Mask.pairs));
  const single = v128.load(x + (isNarrow ? Mask.nibbleTops : Mask.singles));
  const lowBytes = v128.load(x + (isNarrow ? Mask.lowNibbles : Mask.lowBytes));
  const masks = v128.load(x + Mask.sharedBits);
  const recordBytes = m.recordBytes;
  const shared = m.sharedOffset;
  let record = m.records + (row >> 2) * m.units * recordBytes;
  for (; row < end; row += 4) {
    let sum: v128 = f32x4.splat(0);
    let place = x + Mask.bytes;
    const recordsEnd = record + m.units * recordBytes;
    for (; record < recordsEnd; record += recordBytes) {
      let s0: v128 = i32x4.splat(0);
      let s1: v128 = i32x4.splat(0);
      let s2: v128 = i32x4.splat(0);
      let s3: v128 = i32x4.splat(0);
      let x0 = loadEven<X>(place, 0);
      let x1 = loadOdd<X>(place, 0);
      let x2 = loadEven<X>(place, 2);
      let x3 = loadOdd<X>(place, 2);
      s0 = addHalf<B, X>(s0, zero, record, 0, x0, x1, x2, x3, fifteen, pair, single, lowBytes);
      s1 = addHalf<B, X>(s1, zero, record + 8 * offsetof<B>(), 0, x0, x1, x2, x3, fifteen, pair, single, lowBytes);
      s2 = addHalf<B, X>(s2, zero, record + 16 * offsetof<B>(), 0, x0, x1, x2, x3, fifteen, pair, single, lowBytes);
      s3 = addHalf<B, X>(s3, zero, record + 24 * offsetof<B>(), 0, x0, x1, x2, x3, fifteen, pair, single, lowBytes);
      x0 = loadEven<X>(place, 1);
      x1 = loadOdd<X>(place, 1);
      x2 = loadEven<X>(place, 3);
      x3 = loadOdd<X>(place, 3);
      s0 = addHalf<B, X>(s0, zero, record, 1, x0, x1, x2, x3, fifteen, pair, single, lowBytes);
      s1 = addHalf<B, X>(s1, zero, record + 8 * offsetof<B>(), 1, x0, x1, x2, x3, fifteen, pair, single, lowBytes);
      s2 = addHalf<B, X>(s2, zero, record + 16 * offsetof<B>(), 1, x0, x1, x2, x3, fifteen, pair, single, lowBytes);
      s3 = addHalf<B, X>(s3, zero, record + 24 * offsetof<B>(), 1, x0, x1, x2, x3, fifteen, pair, single, lowBytes);
      if (s) {
        s0 = addSharedBits<X>(s0, record + shared, place, masks, s);
        s1 = addSharedBits<X>(s1, record + shared + 2, place, masks, s);
        s2 = addSharedBits<X>(s2, record + shared + 4, place, masks, s);
        s3 = addSharedBits<X>(s3, record + shared + 6, place, masks, s);
      }
      sum = addUnit<X>(sum, m, record, place, s0, s1, s2, s3);
      place += vectorRecordBytes<X>();
    }
    storeLanes(output + 4 * row, sum, lanes);
  }
}
