import { halfNibbles } from './codes';
import { codebookLevels, selectSecond } from './codebook-levels';
import { storeLanes } from './lanes';
import { addProducts, loadEven, loadOdd, Mask, vectorRecordBytes } from './prepared-vector';
import { QuantizedHeader } from './quantized-header';
import { addUnit } from './vector-unit';

/** sum + (the levels of a row's half) * x. The branch keeps V8 from loading everything ahead of all arithmetic. */
@inline
function addHalf<B, X, Kind>(
  sum: v128,
  zero: u32,
  unit: usize,
  half: i32,
  shared: usize,
  tables: usize,
  x0: v128,
  x1: v128,
  x2: v128,
  x3: v128,
  fifteen: v128,
  mask: v128,
  topMask: v128,
  second: v128,
  lowBytes: v128,
): v128 {
  if (zero) return sum;
  const nibbles = selectSecond<B, Kind>(halfNibbles<B>(unit, half, mask, topMask), second);
  const rows = isVoid<Kind>() ? 0 : <usize>load<u8>(shared);
  const levels0 = codebookLevels<B, Kind>(v128.and(nibbles, fifteen), tables, (rows << 4) & 0xf0);
  const levels2 = codebookLevels<B, Kind>(v128.and(i16x8.shr_u(nibbles, 4), fifteen), tables, rows & 0xf0);
  return addProducts<X>(addProducts<X>(sum, levels0, x0, x1, lowBytes), levels2, x2, x3, lowBytes);
}

/** The rows of a matrix with codebooks of private codes, see codebook-levels.ts. */
export function codebookRows<B, X, Kind>(m: QuantizedHeader, x: usize, output: usize, row: u32, end: u32, lanes: u32): void {
  const zero = m.zero;
  const fifteen = v128.load(x + Mask.fifteen);
  const mask = v128.load(x + Mask.nibbles);
  const topMask = v128.load(x + Mask.nibbleTops);
  const second = v128.load(x + Mask.second);
  const lowBytes = v128.load(x + Mask.lowBytes);
  const tables = m.tables;
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
      const bits = record + shared;
      s0 = addHalf<B, X, Kind>(s0, zero, record, 0, bits, tables, x0, x1, x2, x3, fifteen, mask, topMask, second, lowBytes);
      s1 = addHalf<B, X, Kind>(s1, zero, record + 8 * offsetof<B>(), 0, bits + 2, tables, x0, x1, x2, x3, fifteen, mask, topMask, second, lowBytes);
      s2 = addHalf<B, X, Kind>(s2, zero, record + 16 * offsetof<B>(), 0, bits + 4, tables, x0, x1, x2, x3, fifteen, mask, topMask, second, lowBytes);
      s3 = addHalf<B, X, Kind>(s3, zero, record + 24 * offsetof<B>(), 0, bits + 6, tables, x0, x1, x2, x3, fifteen, mask, topMask, second, lowBytes);
      x0 = loadEven<X>(place, 1);
      x1 = loadOdd<X>(place, 1);
      x2 = loadEven<X>(place, 3);
      x3 = loadOdd<X>(place, 3);
      s0 = addHalf<B, X, Kind>(s0, zero, record, 1, bits + 1, tables, x0, x1, x2, x3, fifteen, mask, topMask, second, lowBytes);
      s1 = addHalf<B, X, Kind>(s1, zero, record + 8 * offsetof<B>(), 1, bits + 3, tables, x0, x1, x2, x3, fifteen, mask, topMask, second, lowBytes);
      s2 = addHalf<B, X, Kind>(s2, zero, record + 16 * offsetof<B>(), 1, bits + 5, tables, x0, x1, x2, x3, fifteen, mask, topMask, second, lowBytes);
      s3 = addHalf<B, X, Kind>(s3, zero, record + 24 * offsetof<B>(), 1, bits + 7, tables, x0, x1, x2, x3, fifteen, mask, topMask, second, lowBytes);
      sum = addUnit<X>(sum, m, record, place, s0, s1, s2, s3);
      place += vectorRecordBytes<X>();
    }
    storeLanes(output + 4 * row, sum, lanes);
  }
}
