import { nibblesHigh, nibblesLow, pairs, maskedCodes, singles } from './codes';
import { sumLanesI32 } from './lanes';
import { addProducts, correctionOffset, loadEven, loadOdd, Mask, scaleOffset, vectorRecordBytes } from './prepared-vector';
import { QuantizedHeader, recordOf } from './quantized-header';
import { tableLevels } from './table-levels';

/** sum + (the levels of a row's quarter) * x. */
@inline
function addQuarter<B, S, X>(
  sum: v128,
  zero: u32,
  unit: usize,
  shared: usize,
  quarter: i32,
  patterns: usize,
  tables: usize,
  x: usize,
  fifteen: v128,
  pair: v128,
  single: v128,
  lowBytes: v128,
): v128 {
  if (zero) return sum;
  const codes = maskedCodes<B>(
    unit,
    quarter,
    nibblesLow<B>(unit),
    nibblesHigh<B>(unit),
    pairs<B>(unit),
    singles<B>(unit),
    fifteen,
    pair,
    single,
  );
  const levels = tableLevels<B, S>(codes, quarter, v128.load(shared), patterns, tables);
  return addProducts<X>(sum, levels, loadEven<X>(x, quarter), loadOdd<X>(x, quarter), lowBytes);
}

/**
 * The rows of a matrix whose whole codes look into one table, see table-levels.ts, one by one: there are many such formats, and code for four
 * rows is large. The operations are those of `addUnit`.
 */
export function tableRows<B, S, X>(m: QuantizedHeader, x: usize, output: usize, row: u32, end: u32): void {
  const zero = m.zero;
  const fifteen = v128.load(x + Mask.fifteen);
  const pair = v128.load(x + Mask.pairs);
  const single = v128.load(x + Mask.singles);
  const lowBytes = v128.load(x + Mask.lowBytes);
  const patterns = m.patterns;
  const tables = m.tables;
  const recordBytes = m.recordBytes;
  for (; row < end; row++) {
    const place = row & 3;
    let record = recordOf(m, row >> 2, 0);
    let sum: f32 = 0;
    const xEnd = x + Mask.bytes + <usize>m.units * vectorRecordBytes<X>();
    for (let units = x + Mask.bytes; units < xEnd; units += vectorRecordBytes<X>()) {
      const unit = record + 8 * offsetof<B>() * place;
      const shared = record + m.sharedOffset + m.sharedBytes * place;
      let products: v128 = i32x4.splat(0);
      products = addQuarter<B, S, X>(products, zero, unit, shared, 0, patterns, tables, units, fifteen, pair, single, lowBytes);
      products = addQuarter<B, S, X>(products, zero, unit, shared, 1, patterns, tables, units, fifteen, pair, single, lowBytes);
      products = addQuarter<B, S, X>(products, zero, unit, shared, 2, patterns, tables, units, fifteen, pair, single, lowBytes);
      products = addQuarter<B, S, X>(products, zero, unit, shared, 3, patterns, tables, units, fifteen, pair, single, lowBytes);
      let correction = load<i32>(units + correctionOffset<X>());
      if (m.zeroPointOffset) correction *= load<u8>(record + m.zeroPointOffset + place);
      const scale = load<f32>(record + m.scaleOffset + 4 * place) * load<f32>(units + scaleOffset<X>());
      const total: i32 = (sumLanesI32(products) << 1) + correction;
      sum += (<f32>total) * scale;
      record += recordBytes;
    }
    store<f32>(output + 4 * row, sum);
  }
}
