import { Bits1, Bits2, Bits3, Bits4, Bits5, Bits6, Bits7, Bits8 } from './bits';
import { codebookLevels, quarterShift, unitCodebooks } from './codebook-levels';
import { nibblesHigh, nibblesLow, pairs, quarterCodes, singles } from './codes';
import { Decoder, QuantizedHeader } from './quantized-header';
import { quarterSharedCodesOfAny, unitSharedBits } from './shared-codes';
import { tableLevels } from './table-levels';

// A decoded row is one of the four of a panel: 8 columns are 16 bytes, the next 8 columns follow after those of the other rows.
const step: usize = 64;

@inline
function storeBytes(levels: v128, quarter: i32, target: usize): void {
  v128.store(target + 2 * step * quarter, i16x8.extend_low_i8x16_s(levels));
  v128.store(target + 2 * step * quarter + step, i16x8.extend_high_i8x16_s(levels));
}

@inline
function storeLinear(codes: v128, centre: v128, quarter: i32, target: usize): void {
  const low = i16x8.extend_low_i8x16_u(codes);
  const high = i16x8.extend_high_i8x16_u(codes);
  v128.store(target + 2 * step * quarter, i16x8.sub(i16x8.shl(low, 1), centre));
  v128.store(target + 2 * step * quarter + step, i16x8.sub(i16x8.shl(high, 1), centre));
}

@inline
function decodeCodebook<B, Halves>(m: QuantizedHeader, packed: usize, shared: usize, target: usize): void {
  const s = m.sharedBits;
  const mask: usize = ((1 << s) - 1) << 4;
  const blockShift = m.blockShift;
  const shift1 = quarterShift<Halves>(1, blockShift, s);
  const shift2 = quarterShift<Halves>(2, blockShift, s);
  const shift3 = quarterShift<Halves>(3, blockShift, s);
  const tables = m.tables;
  const units = m.units;
  for (let unit: u32 = 0; unit < units; unit++) {
    const low = nibblesLow<B>(packed);
    const high = nibblesHigh<B>(packed);
    const two = pairs<B>(packed);
    const one = singles<B>(packed);
    const rows = unitCodebooks<Halves>(shared, unit, blockShift, s);
    storeBytes(codebookLevels<B, Halves>(packed, 0, low, high, two, one, tables, rows, s, mask), 0, target);
    storeBytes(codebookLevels<B, Halves>(packed, 1, low, high, two, one, tables, rows >> shift1, s, mask), 1, target);
    storeBytes(codebookLevels<B, Halves>(packed, 2, low, high, two, one, tables, rows >> shift2, s, mask), 2, target);
    storeBytes(codebookLevels<B, Halves>(packed, 3, low, high, two, one, tables, rows >> shift3, s, mask), 3, target);
    packed += 8 * offsetof<B>();
    target += 8 * step;
  }
}

/** Whole codes in a table of at most 64 levels, for sharing blocks of 2, 4 or 8. */
@inline
function decodeTable<B, S>(m: QuantizedHeader, packed: usize, shared: usize, target: usize): void {
  const unitBytes = (8 * offsetof<S>()) / m.sharingBlock;
  const tables = m.tables;
  const patterns = m.patterns;
  const units = m.units;
  for (let unit: u32 = 0; unit < units; unit++) {
    const low = nibblesLow<B>(packed);
    const high = nibblesHigh<B>(packed);
    const two = pairs<B>(packed);
    const one = singles<B>(packed);
    const bits = v128.load(shared);
    storeBytes(tableLevels<B, S>(packed, 0, low, high, two, one, bits, patterns, tables), 0, target);
    storeBytes(tableLevels<B, S>(packed, 1, low, high, two, one, bits, patterns, tables), 1, target);
    storeBytes(tableLevels<B, S>(packed, 2, low, high, two, one, bits, patterns, tables), 2, target);
    storeBytes(tableLevels<B, S>(packed, 3, low, high, two, one, bits, patterns, tables), 3, target);
    packed += 8 * offsetof<B>();
    shared += unitBytes;
    target += 8 * step;
  }
}

@inline
function withPatternCode(codes: v128, bits: v128, quarter: i32, m: QuantizedHeader): v128 {
  return v128.or(i8x16.shl(codes, m.sharedBits), quarterSharedCodesOfAny(bits, quarter, m));
}

/** Linear level tables with sharing blocks of 2, 4 or 8. */
@inline
function decodeLinearPattern<B>(m: QuantizedHeader, packed: usize, shared: usize, target: usize): void {
  const unitBytes = (8 * m.sharedBits) / m.sharingBlock;
  const centre = i16x8.splat(<i16>m.doubledCentre);
  const units = m.units;
  for (let unit: u32 = 0; unit < units; unit++) {
    const low = nibblesLow<B>(packed);
    const high = nibblesHigh<B>(packed);
    const two = pairs<B>(packed);
    const one = singles<B>(packed);
    const bits = v128.load(shared);
    storeLinear(withPatternCode(quarterCodes<B>(packed, 0, low, high, two, one), bits, 0, m), centre, 0, target);
    storeLinear(withPatternCode(quarterCodes<B>(packed, 1, low, high, two, one), bits, 1, m), centre, 1, target);
    storeLinear(withPatternCode(quarterCodes<B>(packed, 2, low, high, two, one), bits, 2, m), centre, 2, target);
    storeLinear(withPatternCode(quarterCodes<B>(packed, 3, low, high, two, one), bits, 3, m), centre, 3, target);
    packed += 8 * offsetof<B>();
    shared += unitBytes;
    target += 8 * step;
  }
}

@inline
function withBlockCode(codes: v128, rows: u32, sharedBits: u32, mask: u32): v128 {
  return v128.or(i8x16.shl(codes, sharedBits), i8x16.splat(<i8>(rows & mask)));
}

/** Linear level tables: 2 * code - 2 * centre on 16-bit lanes. Sharing blocks of 16 * 2^k columns give low bits where `Shared` is bool. */
@inline
function decodeLinear<B, Shared>(m: QuantizedHeader, packed: usize, shared: usize, target: usize): void {
  const centre = i16x8.splat(<i16>m.doubledCentre);
  const sharedBits = m.sharedBits;
  const mask: u32 = (1 << sharedBits) - 1;
  const units = m.units;
  for (let unit: u32 = 0; unit < units; unit++) {
    const low = nibblesLow<B>(packed);
    const high = nibblesHigh<B>(packed);
    const two = pairs<B>(packed);
    const one = singles<B>(packed);
    let codes0 = quarterCodes<B>(packed, 0, low, high, two, one);
    let codes1 = quarterCodes<B>(packed, 1, low, high, two, one);
    let codes2 = quarterCodes<B>(packed, 2, low, high, two, one);
    let codes3 = quarterCodes<B>(packed, 3, low, high, two, one);
    if (isBoolean<Shared>()) {
      const rows = unitSharedBits(shared, unit, m.blockShift, sharedBits);
      codes0 = withBlockCode(codes0, rows, sharedBits, mask);
      codes1 = withBlockCode(codes1, rows >> ((1 >> m.blockShift) * sharedBits), sharedBits, mask);
      codes2 = withBlockCode(codes2, rows >> ((2 >> m.blockShift) * sharedBits), sharedBits, mask);
      codes3 = withBlockCode(codes3, rows >> ((3 >> m.blockShift) * sharedBits), sharedBits, mask);
    }
    storeLinear(codes0, centre, 0, target);
    storeLinear(codes1, centre, 1, target);
    storeLinear(codes2, centre, 2, target);
    storeLinear(codes3, centre, 3, target);
    packed += 8 * offsetof<B>();
    target += 8 * step;
  }
}

/** Any format, one weight at a time. Columns past the end stay undecoded: their activations are 0. */
function decodeLookup(m: QuantizedHeader, packed: usize, shared: usize, target: usize): void {
  const sharedBits = m.sharedBits;
  const mask: u32 = (1 << sharedBits) - 1;
  let position: u32 = 0;
  let left = m.sharingBlock;
  for (let column: u32 = 0; column < m.columns; column++) {
    let plane = packed + (column >> 6) * 8 * m.privateBits;
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
    store<i16>(target + step * (column >> 3) + 2 * (column & 7), load<i16>(m.lookup + 2 * code));
  }
}

/** Writes one row's doubled levels as int16 into its place of a panel of four rows. */
export function decodeRow(m: QuantizedHeader, row: u32, target: usize): void {
  const packed = m.packed + row * m.units * 8 * m.privateBits;
  const shared = m.shared + row * m.sharedStride;
  const bits = m.privateBits;
  switch (m.decoder) {
    case Decoder.codebook:
      if (bits == 4) decodeCodebook<Bits4, void>(m, packed, shared, target);
      else if (bits == 3) decodeCodebook<Bits3, void>(m, packed, shared, target);
      else if (bits == 2) decodeCodebook<Bits2, void>(m, packed, shared, target);
      else decodeCodebook<Bits1, void>(m, packed, shared, target);
      return;
    case Decoder.codebookHalves:
      if (bits == 4) decodeCodebook<Bits4, bool>(m, packed, shared, target);
      else if (bits == 3) decodeCodebook<Bits3, bool>(m, packed, shared, target);
      else if (bits == 2) decodeCodebook<Bits2, bool>(m, packed, shared, target);
      else decodeCodebook<Bits1, bool>(m, packed, shared, target);
      return;
    case Decoder.table:
      if (m.sharedBits == 1) {
        if (bits == 5) decodeTable<Bits5, Bits1>(m, packed, shared, target);
        else if (bits == 4) decodeTable<Bits4, Bits1>(m, packed, shared, target);
        else if (bits == 3) decodeTable<Bits3, Bits1>(m, packed, shared, target);
        else if (bits == 2) decodeTable<Bits2, Bits1>(m, packed, shared, target);
        else decodeTable<Bits1, Bits1>(m, packed, shared, target);
      } else {
        if (bits == 4) decodeTable<Bits4, Bits2>(m, packed, shared, target);
        else if (bits == 3) decodeTable<Bits3, Bits2>(m, packed, shared, target);
        else if (bits == 2) decodeTable<Bits2, Bits2>(m, packed, shared, target);
        else decodeTable<Bits1, Bits2>(m, packed, shared, target);
      }
      return;
    case Decoder.linear:
      if (bits == 8) decodeLinear<Bits8, void>(m, packed, shared, target);
      else if (bits == 7) decodeLinear<Bits7, void>(m, packed, shared, target);
      else if (bits == 6) decodeLinear<Bits6, void>(m, packed, shared, target);
      else if (bits == 5) decodeLinear<Bits5, void>(m, packed, shared, target);
      else if (bits == 4) decodeLinear<Bits4, void>(m, packed, shared, target);
      else if (bits == 3) decodeLinear<Bits3, void>(m, packed, shared, target);
      else if (bits == 2) decodeLinear<Bits2, void>(m, packed, shared, target);
      else decodeLinear<Bits1, void>(m, packed, shared, target);
      return;
    case Decoder.linearBlocks:
      if (bits == 7) decodeLinear<Bits7, bool>(m, packed, shared, target);
      else if (bits == 6) decodeLinear<Bits6, bool>(m, packed, shared, target);
      else if (bits == 5) decodeLinear<Bits5, bool>(m, packed, shared, target);
      else decodeLinear<Bits4, bool>(m, packed, shared, target);
      return;
    case Decoder.linearPattern:
      if (bits == 7) decodeLinearPattern<Bits7>(m, packed, shared, target);
      else if (bits == 6) decodeLinearPattern<Bits6>(m, packed, shared, target);
      else if (bits == 5) decodeLinearPattern<Bits5>(m, packed, shared, target);
      else if (bits == 4) decodeLinearPattern<Bits4>(m, packed, shared, target);
      else if (bits == 3) decodeLinearPattern<Bits3>(m, packed, shared, target);
      else if (bits == 2) decodeLinearPattern<Bits2>(m, packed, shared, target);
      else decodeLinearPattern<Bits1>(m, packed, shared, target);
      return;
    default:
      decodeLookup(m, packed, shared, target);
  }
}
