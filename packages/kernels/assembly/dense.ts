import { storeLanes, sumLanes, sumOfEachF32 } from './lanes';

/** Rows of which the weights stay in the second-level cache while every token passes by. */
const rowBlock: u32 = 16;

/** Products of the columns behind the last whole vector, for four rows. */
@inline
function restOfRows(w0: usize, w1: usize, w2: usize, w3: usize, x: usize, count: u32): v128 {
  let sum: v128 = f32x4.splat(0);
  for (let i: u32 = 0; i < 4 * count; i += 4) {
    let w = v128.load32_splat(w0 + i);
    w = f32x4.replace_lane(w, 1, load<f32>(w1 + i));
    w = f32x4.replace_lane(w, 2, load<f32>(w2 + i));
    w = f32x4.replace_lane(w, 3, load<f32>(w3 + i));
    sum = f32x4.add(sum, f32x4.mul(w, v128.load32_splat(x + i)));
  }
  return sum;
}

@inline
function multiplyPair(w0: usize, w1: usize, w2: usize, w3: usize, x: usize, y: usize, columns: u32, xOut: usize, yOut: usize, lanes: u32): void {
  let x0: v128 = f32x4.splat(0);
  let x1: v128 = f32x4.splat(0);
  let x2: v128 = f32x4.splat(0);
  let x3: v128 = f32x4.splat(0);
  let y0: v128 = f32x4.splat(0);
  let y1: v128 = f32x4.splat(0);
  let y2: v128 = f32x4.splat(0);
  let y3: v128 = f32x4.splat(0);
  const end = x + 16 * (columns >> 2);
  while (x < end) {
    const a = v128.load(x);
    const b = v128.load(y);
    let w = v128.load(w0);
    x0 = f32x4.add(x0, f32x4.mul(w, a));
    y0 = f32x4.add(y0, f32x4.mul(w, b));
    w = v128.load(w1);
    x1 = f32x4.add(x1, f32x4.mul(w, a));
    y1 = f32x4.add(y1, f32x4.mul(w, b));
    w = v128.load(w2);
    x2 = f32x4.add(x2, f32x4.mul(w, a));
    y2 = f32x4.add(y2, f32x4.mul(w, b));
    w = v128.load(w3);
    x3 = f32x4.add(x3, f32x4.mul(w, a));
    y3 = f32x4.add(y3, f32x4.mul(w, b));
    x += 16;
    y += 16;
    w0 += 16;
    w1 += 16;
    w2 += 16;
    w3 += 16;
  }
  const rest = columns & 3;
  storeLanes(xOut, f32x4.add(sumOfEachF32(x0, x1, x2, x3), restOfRows(w0, w1, w2, w3, x, rest)), lanes);
  storeLanes(yOut, f32x4.add(sumOfEachF32(y0, y1, y2, y3), restOfRows(w0, w1, w2, w3, y, rest)), lanes);
}

/** The same operations in the same order as `multiplyPair`, so the same bits. */
@inline
function multiplySingle(w0: usize, w1: usize, w2: usize, w3: usize, x: usize, columns: u32, output: usize, lanes: u32): void {
  let x0: v128 = f32x4.splat(0);
  let x1: v128 = f32x4.splat(0);
  let x2: v128 = f32x4.splat(0);
  let x3: v128 = f32x4.splat(0);
  const end = x + 16 * (columns >> 2);
  while (x < end) {
    const a = v128.load(x);
    x0 = f32x4.add(x0, f32x4.mul(v128.load(w0), a));
    x1 = f32x4.add(x1, f32x4.mul(v128.load(w1), a));
    x2 = f32x4.add(x2, f32x4.mul(v128.load(w2), a));
    x3 = f32x4.add(x3, f32x4.mul(v128.load(w3), a));
    x += 16;
    w0 += 16;
    w1 += 16;
    w2 += 16;
    w3 += 16;
  }
  storeLanes(output, f32x4.add(sumOfEachF32(x0, x1, x2, x3), restOfRows(w0, w1, w2, w3, x, columns & 3)), lanes);
}

/**
 * Output [tokens, rows] = input [tokens, columns] times weights [rows, columns] transposed, float32. Computes the rows from
 * `firstRow` up to `endRow`.
 */
export function multiplyDense(
  weights: usize,
  rows: u32,
  columns: u32,
  input: usize,
  output: usize,
  tokens: u32,
  firstRow: u32,
  endRow: u32,
): void {
  const stride = 4 * columns;
  for (let block = firstRow; block < endRow; block += rowBlock) {
    const blockEnd = min(endRow, block + rowBlock);
    for (let token: u32 = 0; token < tokens; token += 2) {
      const x = input + token * stride;
      const target = output + 4 * token * rows;
      for (let row = block; row < blockEnd; row += 4) {
        const w0 = weights + row * stride;
        // Rows past the end read the first one again; their results are not stored.
        const w1 = row + 1 < endRow ? w0 + stride : w0;
        const w2 = row + 2 < endRow ? w1 + stride : w0;
        const w3 = row + 3 < endRow ? w2 + stride : w0;
        const place = target + 4 * row;
        if (token + 1 < tokens) multiplyPair(w0, w1, w2, w3, x, x + stride, columns, place, place + 4 * rows, endRow - row);
        else multiplySingle(w0, w1, w2, w3, x, columns, place, endRow - row);
      }
    }
  }
}

/** Inner product of two vectors of `length` float32, a multiple of 4. */
@inline
export function innerProduct(a: usize, b: usize, length: u32): f32 {
  let sum: v128 = f32x4.splat(0);
  for (let i: u32 = 0; i < 4 * length; i += 16) sum = f32x4.add(sum, f32x4.mul(v128.load(a + i), v128.load(b + i)));
  return sumLanes(sum);
}
