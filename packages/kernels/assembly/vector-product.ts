import { Bits1, Bits2, Bits3, Bits4, Bits5, Bits6, Bits7, Bits8 } from './bits';
import { codebookLevels, quarterShift, unitCodebooks } from './codebook-levels';
import { nibblesHigh, nibblesLow, pairs, quarterCodes, singles } from './codes';
import { Decoder, QuantizedHeader } from './quantized-header';
import { addSalientRows } from './salient';
import { tableLevels } from './table-levels';

// One token: decoding and multiplying in one pass, without a panel. Levels stay unsigned bytes, so that a mask and a shift widen
// them (even columns, odd columns); the activations are put in that order, and the offset of the levels comes off once a unit:
// sum (u - offset) x = sum u x - offset * sum x. All of it is exact, so the bits are those of the panel.
//
// No int32 overflow: u <= 255, so 2 * 255 * 32767 * 64 < 2^30, and so is the correction.

/**
 * Puts the int16 codes [units, 64] of one token in the order even, odd for each 16 columns, and writes -offset * (sum of the
 * codes) of each unit to lane 0 of corrections [units].
 */
export function prepareVector(codes: usize, units: u32, offset: i32, corrections: usize): void {
  const ones = i16x8.splat(1);
  for (let unit: u32 = 0; unit < units; unit++) {
    let sums: v128 = i32x4.splat(0);
    for (let quarter = 0; quarter < 4; quarter++, codes += 32) {
      const a = v128.load(codes);
      const b = v128.load(codes, 16);
      v128.store(codes, v128.shuffle<i16>(a, b, 0, 2, 4, 6, 8, 10, 12, 14));
      v128.store(codes, v128.shuffle<i16>(a, b, 1, 3, 5, 7, 9, 11, 13, 15), 16);
      sums = i32x4.add(sums, i32x4.add(i32x4.dot_i16x8_s(a, ones), i32x4.dot_i16x8_s(b, ones)));
    }
    const pair = i32x4.add(sums, v128.shuffle<i32>(sums, sums, 2, 3, 0, 1));
    const sum = i32x4.extract_lane(pair, 0) + i32x4.extract_lane(pair, 1);
    v128.store(corrections + 16 * unit, i32x4.replace_lane(i32x4.splat(0), 0, -offset * sum));
  }
}

@inline
function addProducts(sum: v128, levels: v128, x: usize, quarter: i32): v128 {
  const even = v128.and(levels, i16x8.splat(255));
  const odd = i16x8.shr_u(levels, 8);
  sum = i32x4.add(sum, i32x4.dot_i16x8_s(even, v128.load(x + 32 * quarter)));
  return i32x4.add(sum, i32x4.dot_i16x8_s(odd, v128.load(x + 32 * quarter, 16)));
}

/** sum + (all lanes of products) * weight scale * activation scale, in every lane. */
@inline
function addScaled(sum: v128, products: v128, weightScale: usize, activationScale: usize): v128 {
  products = i32x4.add(products, v128.shuffle<i32>(products, products, 2, 3, 0, 1));
  products = i32x4.add(products, v128.shuffle<i32>(products, products, 1, 0, 3, 2));
  const scale = f32x4.mul(v128.load32_splat(weightScale), v128.load32_splat(activationScale));
  return f32x4.add(sum, f32x4.mul(f32x4.convert_i32x4_s(products), scale));
}

@inline
function codebookRow<B, Halves>(
  m: QuantizedHeader,
  packed: usize,
  shared: usize,
  scale: usize,
  x: usize,
  xScale: usize,
  correction: usize,
): f32 {
  const s = m.sharedBits;
  const mask: usize = ((1 << s) - 1) << 4;
  const blockShift = m.blockShift;
  const shift1 = quarterShift<Halves>(1, blockShift, s);
  const shift2 = quarterShift<Halves>(2, blockShift, s);
  const shift3 = quarterShift<Halves>(3, blockShift, s);
  const tables = m.unsignedTables;
  const unitsPerGroup = m.chunksPerGroup;
  let left = unitsPerGroup;
  let sum: v128 = f32x4.splat(0);
  const end = packed + 8 * offsetof<B>() * m.units;
  for (let unit: u32 = 0; packed < end; unit++) {
    const low = nibblesLow<B>(packed);
    const high = nibblesHigh<B>(packed);
    const two = pairs<B>(packed);
    const one = singles<B>(packed);
    const rows = unitCodebooks<Halves>(shared, unit, blockShift, s);
    let products = v128.load(correction);
    products = addProducts(products, codebookLevels<B, Halves>(packed, 0, low, high, two, one, tables, rows, s, mask), x, 0);
    products = addProducts(products, codebookLevels<B, Halves>(packed, 1, low, high, two, one, tables, rows >> shift1, s, mask), x, 1);
    products = addProducts(products, codebookLevels<B, Halves>(packed, 2, low, high, two, one, tables, rows >> shift2, s, mask), x, 2);
    products = addProducts(products, codebookLevels<B, Halves>(packed, 3, low, high, two, one, tables, rows >> shift3, s, mask), x, 3);
    sum = addScaled(sum, products, scale, xScale);
    if (--left == 0) {
      left = unitsPerGroup;
      scale += 4;
    }
    packed += 8 * offsetof<B>();
    x += 128;
    xScale += 4;
    correction += 16;
  }
  return f32x4.extract_lane(sum, 0);
}

@inline
function codebookRows<B, Halves>(m: QuantizedHeader, x: usize, xScale: usize, correction: usize, output: usize, row: u32, end: u32): void {
  const rowBytes = 8 * offsetof<B>() * m.units;
  const sharedStride = m.sharedStride;
  const scaleStride = 4 * m.groups;
  let packed = m.packed + row * rowBytes;
  let shared = m.shared + row * sharedStride;
  let scale = m.scales + row * scaleStride;
  for (; row < end; row++) {
    store<f32>(output + 4 * row, codebookRow<B, Halves>(m, packed, shared, scale, x, xScale, correction));
    packed += rowBytes;
    shared += sharedStride;
    scale += scaleStride;
  }
}

@inline
function tableRow<B, S>(m: QuantizedHeader, packed: usize, shared: usize, scale: usize, x: usize, xScale: usize, correction: usize): f32 {
  const tables = m.unsignedTables;
  const patterns = m.patterns;
  const unitBytes = (8 * offsetof<S>()) / m.sharingBlock;
  const unitsPerGroup = m.chunksPerGroup;
  let left = unitsPerGroup;
  let sum: v128 = f32x4.splat(0);
  const end = packed + 8 * offsetof<B>() * m.units;
  while (packed < end) {
    const low = nibblesLow<B>(packed);
    const high = nibblesHigh<B>(packed);
    const two = pairs<B>(packed);
    const one = singles<B>(packed);
    const bits = v128.load(shared);
    let products = v128.load(correction);
    products = addProducts(products, tableLevels<B, S>(packed, 0, low, high, two, one, bits, patterns, tables), x, 0);
    products = addProducts(products, tableLevels<B, S>(packed, 1, low, high, two, one, bits, patterns, tables), x, 1);
    products = addProducts(products, tableLevels<B, S>(packed, 2, low, high, two, one, bits, patterns, tables), x, 2);
    products = addProducts(products, tableLevels<B, S>(packed, 3, low, high, two, one, bits, patterns, tables), x, 3);
    sum = addScaled(sum, products, scale, xScale);
    if (--left == 0) {
      left = unitsPerGroup;
      scale += 4;
    }
    packed += 8 * offsetof<B>();
    shared += unitBytes;
    x += 128;
    xScale += 4;
    correction += 16;
  }
  return f32x4.extract_lane(sum, 0);
}

@inline
function tableRows<B, S>(m: QuantizedHeader, x: usize, xScale: usize, correction: usize, output: usize, row: u32, end: u32): void {
  const rowBytes = 8 * offsetof<B>() * m.units;
  const sharedStride = m.sharedStride;
  const scaleStride = 4 * m.groups;
  let packed = m.packed + row * rowBytes;
  let shared = m.shared + row * sharedStride;
  let scale = m.scales + row * scaleStride;
  for (; row < end; row++) {
    store<f32>(output + 4 * row, tableRow<B, S>(m, packed, shared, scale, x, xScale, correction));
    packed += rowBytes;
    shared += sharedStride;
    scale += scaleStride;
  }
}

/** Where `ZeroPoint` is bool, a correction is -(sum of the codes) and the group's zero-point says how often it counts. */
@inline
function linearRow<B, ZeroPoint>(
  m: QuantizedHeader,
  packed: usize,
  scale: usize,
  zeroPoint: usize,
  x: usize,
  xScale: usize,
  correction: usize,
): f32 {
  const unitsPerGroup = m.chunksPerGroup;
  let left = unitsPerGroup;
  let sum: v128 = f32x4.splat(0);
  const end = packed + 8 * offsetof<B>() * m.units;
  while (packed < end) {
    const low = nibblesLow<B>(packed);
    const high = nibblesHigh<B>(packed);
    const two = pairs<B>(packed);
    const one = singles<B>(packed);
    let products: v128 = i32x4.splat(0);
    products = addProducts(products, quarterCodes<B>(packed, 0, low, high, two, one), x, 0);
    products = addProducts(products, quarterCodes<B>(packed, 1, low, high, two, one), x, 1);
    products = addProducts(products, quarterCodes<B>(packed, 2, low, high, two, one), x, 2);
    products = addProducts(products, quarterCodes<B>(packed, 3, low, high, two, one), x, 3);
    let offset = v128.load(correction);
    if (isBoolean<ZeroPoint>()) offset = i32x4.mul(offset, i32x4.splat(2 * <i32>load<u8>(zeroPoint)));
    products = i32x4.add(i32x4.shl(products, 1), offset);
    sum = addScaled(sum, products, scale, xScale);
    if (--left == 0) {
      left = unitsPerGroup;
      scale += 4;
      zeroPoint++;
    }
    packed += 8 * offsetof<B>();
    x += 128;
    xScale += 4;
    correction += 16;
  }
  return f32x4.extract_lane(sum, 0);
}

@inline
function linearRowsOf<B, ZeroPoint>(m: QuantizedHeader, x: usize, xScale: usize, correction: usize, output: usize, row: u32, end: u32): void {
  const rowBytes = 8 * offsetof<B>() * m.units;
  const scaleStride = 4 * m.groups;
  let packed = m.packed + row * rowBytes;
  let scale = m.scales + row * scaleStride;
  let zeroPoint = m.zeroPoints + row * m.groups;
  for (; row < end; row++) {
    store<f32>(output + 4 * row, linearRow<B, ZeroPoint>(m, packed, scale, zeroPoint, x, xScale, correction));
    packed += rowBytes;
    scale += scaleStride;
    zeroPoint += m.groups;
  }
}

@inline
function linearRows<B>(m: QuantizedHeader, x: usize, xScale: usize, correction: usize, output: usize, row: u32, end: u32): void {
  if (m.zeroPoints) linearRowsOf<B, bool>(m, x, xScale, correction, output, row, end);
  else linearRowsOf<B, void>(m, x, xScale, correction, output, row, end);
}

function multiplyCodes(
  m: QuantizedHeader,
  x: usize,
  xScales: usize,
  corrections: usize,
  output: usize,
  firstRow: u32,
  endRow: u32,
): void {
  const bits = m.privateBits;
  if (m.decoder == Decoder.linear) {
    if (bits == 8) linearRows<Bits8>(m, x, xScales, corrections, output, firstRow, endRow);
    else if (bits == 7) linearRows<Bits7>(m, x, xScales, corrections, output, firstRow, endRow);
    else if (bits == 6) linearRows<Bits6>(m, x, xScales, corrections, output, firstRow, endRow);
    else if (bits == 5) linearRows<Bits5>(m, x, xScales, corrections, output, firstRow, endRow);
    else if (bits == 4) linearRows<Bits4>(m, x, xScales, corrections, output, firstRow, endRow);
    else if (bits == 3) linearRows<Bits3>(m, x, xScales, corrections, output, firstRow, endRow);
    else if (bits == 2) linearRows<Bits2>(m, x, xScales, corrections, output, firstRow, endRow);
    else linearRows<Bits1>(m, x, xScales, corrections, output, firstRow, endRow);
  } else if (m.decoder == Decoder.table && m.sharedBits == 1) {
    if (bits == 5) tableRows<Bits5, Bits1>(m, x, xScales, corrections, output, firstRow, endRow);
    else if (bits == 4) tableRows<Bits4, Bits1>(m, x, xScales, corrections, output, firstRow, endRow);
    else if (bits == 3) tableRows<Bits3, Bits1>(m, x, xScales, corrections, output, firstRow, endRow);
    else if (bits == 2) tableRows<Bits2, Bits1>(m, x, xScales, corrections, output, firstRow, endRow);
    else tableRows<Bits1, Bits1>(m, x, xScales, corrections, output, firstRow, endRow);
  } else if (m.decoder == Decoder.table) {
    if (bits == 4) tableRows<Bits4, Bits2>(m, x, xScales, corrections, output, firstRow, endRow);
    else if (bits == 3) tableRows<Bits3, Bits2>(m, x, xScales, corrections, output, firstRow, endRow);
    else if (bits == 2) tableRows<Bits2, Bits2>(m, x, xScales, corrections, output, firstRow, endRow);
    else tableRows<Bits1, Bits2>(m, x, xScales, corrections, output, firstRow, endRow);
  } else if (m.decoder == Decoder.codebookHalves) {
    if (bits == 4) codebookRows<Bits4, bool>(m, x, xScales, corrections, output, firstRow, endRow);
    else if (bits == 3) codebookRows<Bits3, bool>(m, x, xScales, corrections, output, firstRow, endRow);
    else if (bits == 2) codebookRows<Bits2, bool>(m, x, xScales, corrections, output, firstRow, endRow);
    else codebookRows<Bits1, bool>(m, x, xScales, corrections, output, firstRow, endRow);
  } else {
    if (bits == 4) codebookRows<Bits4, void>(m, x, xScales, corrections, output, firstRow, endRow);
    else if (bits == 3) codebookRows<Bits3, void>(m, x, xScales, corrections, output, firstRow, endRow);
    else if (bits == 2) codebookRows<Bits2, void>(m, x, xScales, corrections, output, firstRow, endRow);
    else codebookRows<Bits1, void>(m, x, xScales, corrections, output, firstRow, endRow);
  }
}

/**
 * Output [rows] for one token, from `firstRow` up to `endRow`: codes meet x, the activations that `prepareVector` has prepared,
 * salient weights meet input [columns]. For the decoders `codebook`, `codebookHalves`, `table` and `linear` and chunks of 64
 * columns.
 */
export function multiplyVector(
  header: usize,
  input: usize,
  x: usize,
  xScales: usize,
  corrections: usize,
  output: usize,
  firstRow: u32,
  endRow: u32,
): void {
  const m = changetype<QuantizedHeader>(header);
  multiplyCodes(m, x, xScales, corrections, output, firstRow, endRow);
  if (m.salientOffsets) addSalientRows(m, input, output, 1, firstRow, endRow);
}
