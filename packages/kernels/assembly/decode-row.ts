import { Bits1, Bits2, Bits3, Bits4, Bits5, Bits6, Bits7, Bits8 } from './bits';
import { codebookLevels, selectSecond } from './codebook-levels';
import {
  halfNibbles,
  nibbleMask,
  nibblesHigh,
  nibblesLow,
  nibbleTopMask,
  pairs,
  quarterCodes,
  singles,
} from './codes';
import { Decoder, QuantizedHeader, recordOf } from './quantized-header';
import { quarterSharedCodesOfAny } from './shared-codes';
import { tableLevels } from './table-levels';

// A decoded row is one of the four of a panel: so many columns are 16 bytes, the next of them follow after those of the other rows. Elements T
// are int16, levels doubled and less twice the centre; or bytes, the levels themselves.
const step: usize = 64;

/** Bytes from a unit of a row to its next one. */
@inline
function unitStep<T>(): usize {
  return 4 * step * sizeof<T>();
}

/** Unsigned levels of a quarter. */
@inline
function storeLevels<T>(levels: v128, doubledCentre: v128, quarter: i32, target: usize): void {
  if (sizeof<T>() == 1) {
    v128.store(target + step * quarter, levels);
    return;
  }
  const low = i16x8.extend_low_i8x16_u(levels);
  const high = i16x8.extend_high_i8x16_u(levels);
  v128.store(target + 2 * step * quarter, i16x8.sub(i16x8.shl(low, 1), doubledCentre));
  v128.store(target + 2 * step * quarter + step, i16x8.sub(i16x8.shl(high, 1), doubledCentre));
}

@inline
function decodeCodebook<B, Kind, T>(m: QuantizedHeader, row: u32, target: usize): void {
  const mask = nibbleMask<B>();
  const topMask = nibbleTopMask();
  const second = i64x2(0, 0x8888888888888888);
  const centre = i16x8.splat(<i16>m.doubledCentre);
  const place = row & 3;
  for (let unit: u32 = 0; unit < m.units; unit++) {
    const record = recordOf(m, row >> 2, unit);
    const codes = record + 8 * offsetof<B>() * place;
    const shared = record + m.sharedOffset + 2 * place;
    for (let half = 0; half < 2; half++) {
      const plane = half ? halfNibbles<B>(codes, 1, mask, topMask) : halfNibbles<B>(codes, 0, mask, topMask);
      const nibbles = selectSecond<B, Kind>(plane, second);
      const rows = isVoid<Kind>() ? 0 : <usize>load<u8>(shared + half);
      const low = v128.and(nibbles, i8x16.splat(15));
      const high = i8x16.shr_u(nibbles, 4);
      storeLevels<T>(codebookLevels<B, Kind>(low, m.tables, (rows << 4) & 0xf0), centre, half, target);
      storeLevels<T>(codebookLevels<B, Kind>(high, m.tables, rows & 0xf0), centre, half + 2, target);
    }
    target += unitStep<T>();
  }
}

@inline
function privateCodes<B>(unit: usize, quarter: i32): v128 {
  return quarterCodes<B>(unit, quarter, nibblesLow<B>(unit), nibblesHigh<B>(unit), pairs<B>(unit), singles<B>(unit));
}

/** Whole codes in a table of at most 64 levels. */
@inline
function decodeTable<B, S, T>(m: QuantizedHeader, row: u32, target: usize): void {
  const tables = m.tables;
  const patterns = m.patterns;
  const centre = i16x8.splat(<i16>m.doubledCentre);
  const place = row & 3;
  for (let unit: u32 = 0; unit < m.units; unit++) {
    const record = recordOf(m, row >> 2, unit);
    const codes = record + 8 * offsetof<B>() * place;
    const bits = v128.load(record + m.sharedOffset + m.sharedBytes * place);
    storeLevels<T>(tableLevels<B, S>(privateCodes<B>(codes, 0), 0, bits, patterns, tables), centre, 0, target);
    storeLevels<T>(tableLevels<B, S>(privateCodes<B>(codes, 1), 1, bits, patterns, tables), centre, 1, target);
    storeLevels<T>(tableLevels<B, S>(privateCodes<B>(codes, 2), 2, bits, patterns, tables), centre, 2, target);
    storeLevels<T>(tableLevels<B, S>(privateCodes<B>(codes, 3), 3, bits, patterns, tables), centre, 3, target);
    target += unitStep<T>();
  }
}

/** Puts shared bits below the private ones: those of pairs, which a table spreads over the lanes, or any that have a pattern. */
@inline
function withSharedBits(codes: v128, quarter: i32, shared: usize, m: QuantizedHeader): v128 {
  if (m.decoder == Decoder.linear) return codes;
  const s = m.sharedBits;
  if (m.decoder == Decoder.linearPairs) {
    const nibble = ((<u32>load<u8>(shared + (quarter & 1))) >> (quarter < 2 ? 0 : 4)) & 15;
    return v128.or(i8x16.shl(codes, s), v128.load(m.tables + 16 * nibble));
  }
  return v128.or(i8x16.shl(codes, s), quarterSharedCodesOfAny(v128.load(shared), quarter, m));
}

@inline
function decodeLinear<B, T>(m: QuantizedHeader, row: u32, target: usize): void {
  const centre = i16x8.splat(<i16>m.doubledCentre);
  const place = row & 3;
  for (let unit: u32 = 0; unit < m.units; unit++) {
    const record = recordOf(m, row >> 2, unit);
    const codes = record + 8 * offsetof<B>() * place;
    const shared = record + m.sharedOffset + m.sharedBytes * place;
    storeLevels<T>(withSharedBits(privateCodes<B>(codes, 0), 0, shared, m), centre, 0, target);
    storeLevels<T>(withSharedBits(privateCodes<B>(codes, 1), 1, shared, m), centre, 1, target);
    storeLevels<T>(withSharedBits(privateCodes<B>(codes, 2), 2, shared, m), centre, 2, target);
    storeLevels<T>(withSharedBits(privateCodes<B>(codes, 3), 3, shared, m), centre, 3, target);
    target += unitStep<T>();
  }
}

/** Any format, one weight at a time. Columns past the end stay undecoded: their activations are 0. */
function decodeLookup<T>(m: QuantizedHeader, row: u32, target: usize): void {
  const shared = m.sharedRows + row * m.sharedStride;
  const sharedBits = m.sharedBits;
  const mask: u32 = (1 << sharedBits) - 1;
  let position: u32 = 0;
  let left = m.sharingBlock;
  for (let column: u32 = 0; column < m.columns; column++) {
    let plane = recordOf(m, row >> 2, column >> 6) + 8 * m.privateBits * (row & 3);
    const i = column & 63;
    let code: u32 = 0;
    let shift: u32 = sharedBits;
    for (let width: u32 = 8; width > 0; width >>= 1) {
      if (!(m.privateBits & width)) continue;
      const bytes = 8 * width;
      const field: u32 = <u32>load<u8>(plane + (i % bytes)) >> (width * (i / bytes));
      code |= (field & ((1 << width) - 1)) << shift;
      plane += bytes;
      shift += width;
    }
    if (sharedBits) {
      code |= (<u32>load<u16>(shared + (position >> 3)) >> (position & 7)) & mask;
      if (--left == 0) {
        left = m.sharingBlock;
        position += sharedBits;
      }
    }
    const level = <i32>load<u8>(m.tables + code);
    if (sizeof<T>() == 1) store<u8>(target + step * (column >> 4) + (column & 15), <u8>level);
    else store<i16>(target + step * (column >> 3) + 2 * (column & 7), <i16>(2 * level - m.doubledCentre));
  }
}

/** Writes one row's levels into its place of a panel of four rows. */
export function decodeRow<T>(m: QuantizedHeader, row: u32, target: usize): void {
  const bits = m.privateBits;
  switch (m.decoder) {
    case Decoder.codebookPairs:
      if (bits == 4) decodeCodebook<Bits4, u8, T>(m, row, target);
      else if (bits == 3) decodeCodebook<Bits3, u8, T>(m, row, target);
      else if (bits == 2) decodeCodebook<Bits2, u8, T>(m, row, target);
      else decodeCodebook<Bits1, u8, T>(m, row, target);
      return;
    case Decoder.codebookQuarters:
      decodeCodebook<Bits4, bool, T>(m, row, target);
      return;
    case Decoder.codebook:
      if (bits == 4) decodeCodebook<Bits4, void, T>(m, row, target);
      else if (bits == 3) decodeCodebook<Bits3, void, T>(m, row, target);
      else if (bits == 2) decodeCodebook<Bits2, void, T>(m, row, target);
      else decodeCodebook<Bits1, void, T>(m, row, target);
      return;
    case Decoder.table:
      if (m.sharedBits == 1) {
        if (bits == 5) decodeTable<Bits5, Bits1, T>(m, row, target);
        else if (bits == 4) decodeTable<Bits4, Bits1, T>(m, row, target);
        else if (bits == 3) decodeTable<Bits3, Bits1, T>(m, row, target);
        else if (bits == 2) decodeTable<Bits2, Bits1, T>(m, row, target);
        else decodeTable<Bits1, Bits1, T>(m, row, target);
      } else {
        if (bits == 4) decodeTable<Bits4, Bits2, T>(m, row, target);
        else if (bits == 3) decodeTable<Bits3, Bits2, T>(m, row, target);
        else if (bits == 2) decodeTable<Bits2, Bits2, T>(m, row, target);
        else decodeTable<Bits1, Bits2, T>(m, row, target);
      }
      return;
    case Decoder.lookup:
      decodeLookup<T>(m, row, target);
      return;
    default:
      if (bits == 8) decodeLinear<Bits8, T>(m, row, target);
      else if (bits == 7) decodeLinear<Bits7, T>(m, row, target);
      else if (bits == 6) decodeLinear<Bits6, T>(m, row, target);
      else if (bits == 5) decodeLinear<Bits5, T>(m, row, target);
      else if (bits == 4) decodeLinear<Bits4, T>(m, row, target);
      else if (bits == 3) decodeLinear<Bits3, T>(m, row, target);
      else if (bits == 2) decodeLinear<Bits2, T>(m, row, target);
      else decodeLinear<Bits1, T>(m, row, target);
  }
}
