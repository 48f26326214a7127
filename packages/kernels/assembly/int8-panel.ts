import { decodeRow } from './decode-row';
import { dotInt8, storeLanes, sumOfEachI32 } from './lanes';
import { chunkPart, copyScales, scaled } from './panel';
import { QuantizedHeader } from './quantized-header';
import { addSalient } from './salient';

// Many tokens with int8 activations, by the relaxed product of bytes. A panel is four rows of unsigned levels, interleaved by 16 columns:
// [paddedColumns / 16, 4 rows, 16 columns]. The offset of the levels comes off through the sums of the activations, as in vector-unit.ts; the
// integers are those of panel.ts, and so are the bits of all results.
//
// Levels are at most 127: two products are at most 2 * 127 * 127 < 2^15. `Narrow` is bool where they are at most 32: then those of 64 columns, 8
// in each lane, are at most 8 * 32 * 127 < 2^15.

/**
 * Turns int16 codes [tokens, paddedColumns] from -127 to 127 into bytes, and sums them over each chunk: int32 [tokens, chunks]. Chunks behind the
 * last column are left out.
 */
export function narrowActivations(
  codes: usize,
  tokens: u32,
  paddedColumns: u32,
  chunks: u32,
  chunkColumns: u32,
  target: usize,
  sums: usize,
): void {
  const ones = i16x8.splat(1);
  for (let token: u32 = 0; token < tokens; token++) {
    for (let column: u32 = 0; column < paddedColumns; column += 16) {
      const bytes = i8x16.narrow_i16x8_s(v128.load(codes + 2 * column), v128.load(codes + 2 * column, 16));
      v128.store(target + column, bytes);
    }
    for (let chunk: u32 = 0; chunk < chunks; chunk++) {
      let sum: v128 = i32x4.splat(0);
      const start = codes + 2 * chunk * chunkColumns;
      for (let i: u32 = 0; i < 2 * chunkColumns; i += 16) {
        sum = i32x4.add(sum, i32x4.dot_i16x8_s(v128.load(start + i), ones));
      }
      store<i32>(sums, i32x4.extract_lane(sumOfEachI32(sum, sum, sum, sum), 0));
      sums += 4;
    }
    codes += 2 * paddedColumns;
    target += paddedColumns;
  }
}

/** Twice the centre, or the zero-points of four rows for each chunk: [chunks, 4 rows] int32. */
function writeOffsets(m: QuantizedHeader, quad: u32, chunks: u32, target: usize): void {
  for (let chunk: u32 = 0; chunk < chunks; chunk++) {
    let offsets: v128 = i32x4.splat(m.doubledCentre);
    if (m.zeroPointOffset) {
      const zeroPoints = i16x8.extend_low_i8x16_u(v128.load32_zero(chunkPart(m, quad, chunk, m.zeroPointOffset, 1)));
      offsets = i32x4.shl(i32x4.extend_low_i16x8_u(zeroPoints), 1);
    }
    v128.store(target + 16 * chunk, offsets);
  }
}

/** sum, of int32 or where `Narrow` is bool of int16, + levels * x. */
@inline
function addProducts<Narrow>(sum: v128, levels: v128, x: v128, ones: v128): v128 {
  const products = dotInt8(x, levels);
  if (isBoolean<Narrow>()) return i16x8.add(sum, products);
  return i32x4.add(sum, i32x4.dot_i16x8_s(products, ones));
}

/** The part of a chunk: the four rows' sums, doubled, less the offsets times the sum of x, and scaled. */
@inline
function chunkProducts<Narrow>(
  s0: v128,
  s1: v128,
  s2: v128,
  s3: v128,
  ones: v128,
  offsets: v128,
  xSum: usize,
  weightScales: v128,
  xScale: usize,
): v128 {
  if (isBoolean<Narrow>()) {
    s0 = i32x4.dot_i16x8_s(s0, ones);
    s1 = i32x4.dot_i16x8_s(s1, ones);
    s2 = i32x4.dot_i16x8_s(s2, ones);
    s3 = i32x4.dot_i16x8_s(s3, ones);
  }
  const sums = i32x4.shl(sumOfEachI32(s0, s1, s2, s3), 1);
  return scaled(i32x4.sub(sums, i32x4.mul(offsets, v128.load32_splat(xSum))), weightScales, xScale);
}

/** Four rows times two tokens, or where `b` is `a` times one, whose result is written twice. */
function multiplyPair<Narrow>(
  panel: usize,
  scales: usize,
  offsets: usize,
  chunks: u32,
  chunkColumns: u32,
  a: usize,
  b: usize,
  aScales: usize,
  bScales: usize,
  aSums: usize,
  bSums: usize,
  aOutput: usize,
  bOutput: usize,
  lanes: u32,
  onesAddress: usize,
): void {
  let aSum: v128 = f32x4.splat(0);
  let bSum: v128 = f32x4.splat(0);
  const ones = v128.load(onesAddress);
  const end = scales + 16 * chunks;
  while (scales < end) {
    let a0: v128 = i32x4.splat(0);
    let a1: v128 = i32x4.splat(0);
    let a2: v128 = i32x4.splat(0);
    let a3: v128 = i32x4.splat(0);
    let b0: v128 = i32x4.splat(0);
    let b1: v128 = i32x4.splat(0);
    let b2: v128 = i32x4.splat(0);
    let b3: v128 = i32x4.splat(0);
    const chunkEnd = a + chunkColumns;
    while (a < chunkEnd) {
      const x = v128.load(a);
      const y = v128.load(b);
      let w = v128.load(panel);
      a0 = addProducts<Narrow>(a0, w, x, ones);
      b0 = addProducts<Narrow>(b0, w, y, ones);
      w = v128.load(panel, 16);
      a1 = addProducts<Narrow>(a1, w, x, ones);
      b1 = addProducts<Narrow>(b1, w, y, ones);
      w = v128.load(panel, 32);
      a2 = addProducts<Narrow>(a2, w, x, ones);
      b2 = addProducts<Narrow>(b2, w, y, ones);
      w = v128.load(panel, 48);
      a3 = addProducts<Narrow>(a3, w, x, ones);
      b3 = addProducts<Narrow>(b3, w, y, ones);
      a += 16;
      b += 16;
      panel += 64;
    }
    const weightScales = v128.load(scales);
    const offset = v128.load(offsets);
    aSum = f32x4.add(aSum, chunkProducts<Narrow>(a0, a1, a2, a3, ones, offset, aSums, weightScales, aScales));
    bSum = f32x4.add(bSum, chunkProducts<Narrow>(b0, b1, b2, b3, ones, offset, bSums, weightScales, bScales));
    scales += 16;
    offsets += 16;
    aScales += 4;
    bScales += 4;
    aSums += 4;
    bSums += 4;
  }
  storeLanes(aOutput, aSum, lanes);
  storeLanes(bOutput, bSum, lanes);
}

/**
 * `multiplyPanels` for bytes: `codes` [tokens, paddedColumns] and `sums` [tokens, chunks] are what `narrowActivations` gives. `isNarrow` says
 * that no level is above 32. `scratch` holds 4 * paddedColumns + 32 * chunks + 80 bytes.
 */
export function multiplyPanelsInt8(
  header: usize,
  input: usize,
  codes: usize,
  codeScales: usize,
  sums: usize,
  transposed: usize,
  output: usize,
  tokens: u32,
  firstRow: u32,
  endRow: u32,
  isNarrow: u32,
  scratch: usize,
): void {
  const m = changetype<QuantizedHeader>(header);
  const chunkColumns = m.chunkColumns;
  const chunks = (m.columns + chunkColumns - 1) / chunkColumns;
  const codeStride = 64 * m.units;
  const scaleStride = 4 * chunks;
  const outputStride = 4 * m.rows;
  const panel = scratch;
  const scales = panel + 256 * m.units;
  const offsets = scales + 16 * chunks;
  const ones = offsets + 16 * chunks;
  v128.store(ones, i16x8.splat(1));
  for (let row = firstRow; row < endRow; row += 4) {
    for (let i: u32 = 0; i < 4; i++) {
      if (row + i < m.rows) decodeRow<u8>(m, row + i, panel + 16 * i);
    }
    copyScales(m, row >> 2, chunks, scales);
    writeOffsets(m, row >> 2, chunks, offsets);
    const lanes = endRow - row;
    for (let token: u32 = 0; token < tokens; token += 2) {
      const second = min(token + 1, tokens - 1);
      const a = codes + token * codeStride;
      const b = codes + second * codeStride;
      const aScales = codeScales + token * scaleStride;
      const bScales = codeScales + second * scaleStride;
      const aSums = sums + token * scaleStride;
      const bSums = sums + second * scaleStride;
      const aOutput = output + 4 * row + token * outputStride;
      const bOutput = output + 4 * row + second * outputStride;
      if (isNarrow) {
        multiplyPair<bool>(panel, scales, offsets, chunks, chunkColumns, a, b, aScales, bScales, aSums, bSums, aOutput, bOutput, lanes, ones);
      } else {
        multiplyPair<void>(panel, scales, offsets, chunks, chunkColumns, a, b, aScales, bScales, aSums, bSums, aOutput, bOutput, lanes, ones);
      }
    }
  }
  addSalient(m, input, transposed, output, tokens, firstRow, endRow, ones + 16);
}
