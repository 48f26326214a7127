// Both operands of a product are packed into strips: 5 rows of the left one or 8 columns of the right one, laid out as a tile
// reads them: for every step of the depth, the 5 or 8 values side by side. What stands for rows or columns behind the last is arbitrary:
// nobody keeps its sums.

/** Rows of a strip of the left operand. */
export const stripRows: u32 = 5;
/** Columns of a strip of the right operand. */
export const stripColumns: u32 = 8;

/** Four lanes from an operand whose neighbours along the depth are neighbours in memory: transposes 4 x 4 blocks. */
function packAcross(source: usize, stride: usize, lanes: i32, depth: u32, target: usize, step: usize): void {
  // Lanes past the end read the first one again.
  let s0 = source;
  let s1 = lanes > 1 ? source + stride : source;
  let s2 = lanes > 2 ? source + 2 * stride : source;
  let s3 = lanes > 3 ? source + 3 * stride : source;
  const end = source + 16 * (depth >> 2);
  while (s0 < end) {
    const a = v128.load(s0);
    const b = v128.load(s1);
    const c = v128.load(s2);
    const d = v128.load(s3);
    const lowAB = v128.shuffle<i32>(a, b, 0, 4, 1, 5);
    const highAB = v128.shuffle<i32>(a, b, 2, 6, 3, 7);
    const lowCD = v128.shuffle<i32>(c, d, 0, 4, 1, 5);
    const highCD = v128.shuffle<i32>(c, d, 2, 6, 3, 7);
    v128.store(target, v128.shuffle<i32>(lowAB, lowCD, 0, 1, 4, 5));
    v128.store(target + step, v128.shuffle<i32>(lowAB, lowCD, 2, 3, 6, 7));
    v128.store(target + 2 * step, v128.shuffle<i32>(highAB, highCD, 0, 1, 4, 5));
    v128.store(target + 3 * step, v128.shuffle<i32>(highAB, highCD, 2, 3, 6, 7));
    s0 += 16;
    s1 += 16;
    s2 += 16;
    s3 += 16;
    target += 4 * step;
  }
  for (let rest = depth & 3; rest > 0; rest--) {
    let lane = v128.load32_splat(s0);
    lane = f32x4.replace_lane(lane, 1, load<f32>(s1));
    lane = f32x4.replace_lane(lane, 2, load<f32>(s2));
    lane = f32x4.replace_lane(lane, 3, load<f32>(s3));
    v128.store(target, lane);
    s0 += 4;
    s1 += 4;
    s2 += 4;
    s3 += 4;
    target += step;
  }
}

/** Four lanes from an operand whose lanes are neighbours in memory. */
function packAlong(source: usize, stride: usize, lanes: i32, depth: u32, target: usize, step: usize): void {
  for (; depth > 0; depth--, source += stride, target += step) {
    let lane: v128;
    if (lanes >= 4) {
      lane = v128.load(source);
    } else {
      lane = v128.load32_zero(source);
      if (lanes > 1) lane = f32x4.replace_lane(lane, 1, load<f32>(source, 4));
      if (lanes > 2) lane = f32x4.replace_lane(lane, 2, load<f32>(source, 8));
    }
    v128.store(target, lane);
  }
}

/**
 * `depth` steps of four lanes, `step` bytes apart. Of the lanes, `lanes` are real: none where it is not positive. They are set even so, since
 * subnormal numbers that lie there by chance would be slow.
 */
function packLanes(source: usize, laneStride: usize, depthStride: usize, lanes: i32, depth: u32, target: usize, step: usize): void {
  if (lanes <= 0) {
    for (; depth > 0; depth--, target += step) v128.store(target, i32x4.splat(0));
  } else if (depthStride == 4) {
    packAcross(source, laneStride, lanes, depth, target, step);
  } else {
    packAlong(source, depthStride, lanes, depth, target, step);
  }
}

/**
 * A strip of five rows, of which `rows` are real; writes up to 12 bytes behind it. Strides are in bytes, and one of them is 4. Where
 * `weights` [depth] are given, every step is multiplied by its weight.
 */
export function packRows(source: usize, rowStride: usize, depthStride: usize, rows: i32, depth: u32, weights: usize, target: usize): void {
  // The fifth row first: what it writes behind itself, the others overwrite.
  packLanes(source + 4 * rowStride, rowStride, depthStride, min(1, rows - 4), depth, target + 16, 20);
  packLanes(source, rowStride, depthStride, rows, depth, target, 20);
  if (!weights) return;
  for (; depth > 0; depth--, target += 20, weights += 4) {
    const weight = v128.load32_splat(weights);
    v128.store(target, f32x4.mul(v128.load(target), weight));
    store<f32>(target, load<f32>(target, 16) * f32x4.extract_lane(weight, 0), 16);
  }
}

/** A strip of eight columns, of which `columns` are real. Strides as above. */
export function packColumns(source: usize, columnStride: usize, depthStride: usize, columns: i32, depth: u32, target: usize): void {
  packLanes(source, columnStride, depthStride, columns, depth, target, 32);
  packLanes(source + 4 * columnStride, columnStride, depthStride, columns - 4, depth, target + 16, 32);
}
