import { decodeRow } from './decode-row';
import { storeLanes, sumOfEachI32 } from './lanes';
import { QuantizedHeader, recordOf } from './quantized-header';
import { addSalient } from './salient';

// A panel is four rows of int16 doubled levels, interleaved by 8 columns: [paddedColumns / 8, 4 rows, 8 columns]. So one stream
// feeds four rows, and its scales [chunks, 4 rows] give one vector a chunk.
//
// No int32 overflow: |doubled level - doubled zero-point| <= 510 and |activation code| <= 32767, so the sum over the 64 columns of a chunk is at most
// 510 * 32767 * 64 < 2^30.

/** The part of a record that belongs to a chunk: scales or zero-points of four rows, of `size` bytes each. */
@inline
export function chunkPart(m: QuantizedHeader, quad: u32, chunk: u32, offset: u32, size: u32): usize {
  const chunksPerUnit = 64 / m.chunkColumns;
  const unit = chunk / chunksPerUnit;
  return recordOf(m, quad, unit) + offset + 4 * size * (chunk - unit * chunksPerUnit);
}

/** One row's levels minus its zero-points, which are doubled as the levels are. */
function decodeLevels(m: QuantizedHeader, row: u32, target: usize): void {
  decodeRow<i16>(m, row, target);
  if (!m.zeroPointOffset) return;
  const vectors = m.chunkColumns >> 3;
  const chunks = (m.units << 6) / m.chunkColumns;
  for (let chunk: u32 = 0; chunk < chunks; chunk++) {
    const zeroPoint = load<u8>(chunkPart(m, row >> 2, chunk, m.zeroPointOffset, 1) + (row & 3));
    const offset = i16x8.splat(<i16>(2 * <i32>zeroPoint));
    for (let vector: u32 = 0; vector < vectors; vector++) {
      v128.store(target, i16x8.sub(v128.load(target), offset));
      target += 64;
    }
  }
}

/** Copies the scales [chunks, 4 rows] of a quad. */
export function copyScales(m: QuantizedHeader, quad: u32, chunks: u32, target: usize): void {
  for (let chunk: u32 = 0; chunk < chunks; chunk++) {
    v128.store(target + 16 * chunk, v128.load(chunkPart(m, quad, chunk, m.scaleOffset, 4)));
  }
}

/** Decodes rows `row` (a multiple of 4) to `row + 3`; rows past the end have the scale 0. */
export function decodePanel(m: QuantizedHeader, row: u32, chunks: u32, panel: usize, scales: usize): void {
  for (let i: u32 = 0; i < 4; i++) {
    if (row + i < m.rows) decodeLevels(m, row + i, panel + 16 * i);
  }
  copyScales(m, row >> 2, chunks, scales);
}

@inline
export function scaled(sums: v128, weightScales: v128, activationScale: usize): v128 {
  return f32x4.mul(f32x4.convert_i32x4_s(sums), f32x4.mul(weightScales, v128.load32_splat(activationScale)));
}

/** Four rows times two tokens. */
@inline
function multiplyPair(
  panel: usize,
  scales: usize,
  chunks: u32,
  chunkColumns: u32,
  a: usize,
  b: usize,
  aScales: usize,
  bScales: usize,
  aOutput: usize,
  bOutput: usize,
  lanes: u32,
): void {
  let aSum: v128 = f32x4.splat(0);
  let bSum: v128 = f32x4.splat(0);
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
    const chunkEnd = a + 2 * chunkColumns;
    while (a < chunkEnd) {
      const x = v128.load(a);
      const y = v128.load(b);
      let w = v128.load(panel);
      a0 = i32x4.add(a0, i32x4.dot_i16x8_s(w, x));
      b0 = i32x4.add(b0, i32x4.dot_i16x8_s(w, y));
      w = v128.load(panel, 16);
      a1 = i32x4.add(a1, i32x4.dot_i16x8_s(w, x));
      b1 = i32x4.add(b1, i32x4.dot_i16x8_s(w, y));
      w = v128.load(panel, 32);
      a2 = i32x4.add(a2, i32x4.dot_i16x8_s(w, x));
      b2 = i32x4.add(b2, i32x4.dot_i16x8_s(w, y));
      w = v128.load(panel, 48);
      a3 = i32x4.add(a3, i32x4.dot_i16x8_s(w, x));
      b3 = i32x4.add(b3, i32x4.dot_i16x8_s(w, y));
      a += 16;
      b += 16;
      panel += 64;
    }
    const weightScales = v128.load(scales);
    aSum = f32x4.add(aSum, scaled(sumOfEachI32(a0, a1, a2, a3), weightScales, aScales));
    bSum = f32x4.add(bSum, scaled(sumOfEachI32(b0, b1, b2, b3), weightScales, bScales));
    scales += 16;
    aScales += 4;
    bScales += 4;
  }
  storeLanes(aOutput, aSum, lanes);
  storeLanes(bOutput, bSum, lanes);
}

/** Four rows times one token. The same operations in the same order as `multiplyPair`, so the same bits. */
@inline
function multiplySingle(
  panel: usize,
  scales: usize,
  chunks: u32,
  chunkColumns: u32,
  a: usize,
  aScales: usize,
  output: usize,
  lanes: u32,
): void {
  let sum: v128 = f32x4.splat(0);
  const end = scales + 16 * chunks;
  while (scales < end) {
    let a0: v128 = i32x4.splat(0);
    let a1: v128 = i32x4.splat(0);
    let a2: v128 = i32x4.splat(0);
    let a3: v128 = i32x4.splat(0);
    const chunkEnd = a + 2 * chunkColumns;
    while (a < chunkEnd) {
      const x = v128.load(a);
      a0 = i32x4.add(a0, i32x4.dot_i16x8_s(v128.load(panel), x));
      a1 = i32x4.add(a1, i32x4.dot_i16x8_s(v128.load(panel, 16), x));
      a2 = i32x4.add(a2, i32x4.dot_i16x8_s(v128.load(panel, 32), x));
      a3 = i32x4.add(a3, i32x4.dot_i16x8_s(v128.load(panel, 48), x));
      a += 16;
      panel += 64;
    }
    sum = f32x4.add(sum, scaled(sumOfEachI32(a0, a1, a2, a3), v128.load(scales), aScales));
    scales += 16;
    aScales += 4;
  }
  storeLanes(output, sum, lanes);
}

/**
 * Output [tokens, rows] = input [tokens, columns] times the matrix transposed, for the rows from `firstRow` (a multiple of 4) up
 * to `endRow`. Codes meet `codes`, the int16 activations [tokens, paddedColumns], four rows after four rows: each panel is
 * decoded once and meets every token. Salient weights meet `transposed` (salient.ts), or `input` where that is 0.
 * `scratch` holds 8 * paddedColumns + 16 * chunks + 64 bytes.
 */
export function multiplyPanels(
  header: usize,
  input: usize,
  codes: usize,
  codeScales: usize,
  transposed: usize,
  output: usize,
  tokens: u32,
  firstRow: u32,
  endRow: u32,
  scratch: usize,
): void {
  const m = changetype<QuantizedHeader>(header);
  const chunkColumns = m.chunkColumns;
  const chunks = (m.columns + chunkColumns - 1) / chunkColumns;
  const codeStride = 128 * m.units;
  const scaleStride = 4 * chunks;
  const outputStride = 4 * m.rows;
  const panel = scratch;
  const panelScales = panel + 512 * m.units;
  for (let row = firstRow; row < endRow; row += 4) {
    decodePanel(m, row, chunks, panel, panelScales);
    const lanes = endRow - row;
    let a = codes;
    let aScales = codeScales;
    let target = output + 4 * row;
    let token: u32 = 0;
    for (; token + 2 <= tokens; token += 2) {
      const b = a + codeStride;
      const bScales = aScales + scaleStride;
      multiplyPair(panel, panelScales, chunks, chunkColumns, a, b, aScales, bScales, target, target + outputStride, lanes);
      a += 2 * codeStride;
      aScales += 2 * scaleStride;
      target += 2 * outputStride;
    }
    if (token < tokens) multiplySingle(panel, panelScales, chunks, chunkColumns, a, aScales, target, lanes);
  }
  addSalient(m, input, transposed, output, tokens, firstRow, endRow, panelScales + 16 * chunks);
}

/** One row as float32 [columns], bit for bit what `dequantize` of @lbs/format gives. `panel` holds 8 * paddedColumns bytes. */
export function dequantizeRow(header: usize, row: u32, output: usize, panel: usize): void {
  const m = changetype<QuantizedHeader>(header);
  decodeLevels(m, row, panel);
  const place = row & 3;
  for (let start: u32 = 0; start < m.columns; start += m.chunkColumns) {
    const scale = load<f32>(chunkPart(m, row >> 2, start / m.chunkColumns, m.scaleOffset, 4) + 4 * place);
    const end = min(start + m.chunkColumns, m.columns);
    for (let column = start; column < end; column++) {
      const level = load<i16>(panel + 64 * (column >> 3) + 2 * (column & 7));
      store<f32>(output + 4 * column, scale * <f32>level);
    }
  }
  if (!m.salientOffsets) return;
  const end = load<u32>(m.salientOffsets + 4 * row, 4);
  for (let i = load<u32>(m.salientOffsets + 4 * row); i < end; i++) {
    const place = output + 4 * load<u32>(m.salientColumns + 4 * i);
    store<f32>(place, load<f32>(place) + load<f32>(m.salientValues + 4 * i));
  }
}
