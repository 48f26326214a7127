import { Update } from './product-header';
import { stripColumns } from './strips';

@inline
function updateVector(target: usize, sums: v128, update: u32): void {
  if (update == Update.add) v128.store(target, f32x4.add(v128.load(target), sums));
  else if (update == Update.subtract) v128.store(target, f32x4.sub(v128.load(target), sums));
  else v128.store(target, sums);
}

@inline
function updateRow(target: usize, low: v128, high: v128, update: u32): void {
  updateVector(target, low, update);
  updateVector(target + 16, high, update);
}

/**
 * Five rows times eight columns: every sum runs over the strips in one register, in their order. `stride` is the distance of the
 * output's rows in bytes.
 *
 * Ten sums, two vectors of columns, one row's value and one product: 14 of the 16 registers of x86-64. More spill.
 */
export function updateTile(left: usize, right: usize, depth: u32, output: usize, stride: usize, update: u32): void {
  let a0: v128 = f32x4.splat(0);
  let a1: v128 = f32x4.splat(0);
  let b0: v128 = f32x4.splat(0);
  let b1: v128 = f32x4.splat(0);
  let c0: v128 = f32x4.splat(0);
  let c1: v128 = f32x4.splat(0);
  let d0: v128 = f32x4.splat(0);
  let d1: v128 = f32x4.splat(0);
  let e0: v128 = f32x4.splat(0);
  let e1: v128 = f32x4.splat(0);
  const end = right + 32 * depth;
  while (right < end) {
    const low = v128.load(right);
    const high = v128.load(right, 16);
    let x = v128.load32_splat(left);
    a0 = f32x4.add(a0, f32x4.mul(x, low));
    a1 = f32x4.add(a1, f32x4.mul(x, high));
    x = v128.load32_splat(left, 4);
    b0 = f32x4.add(b0, f32x4.mul(x, low));
    b1 = f32x4.add(b1, f32x4.mul(x, high));
    x = v128.load32_splat(left, 8);
    c0 = f32x4.add(c0, f32x4.mul(x, low));
    c1 = f32x4.add(c1, f32x4.mul(x, high));
    x = v128.load32_splat(left, 12);
    d0 = f32x4.add(d0, f32x4.mul(x, low));
    d1 = f32x4.add(d1, f32x4.mul(x, high));
    x = v128.load32_splat(left, 16);
    e0 = f32x4.add(e0, f32x4.mul(x, low));
    e1 = f32x4.add(e1, f32x4.mul(x, high));
    left += 20;
    right += 32;
  }
  updateRow(output, a0, a1, update);
  updateRow(output + stride, b0, b1, update);
  updateRow(output + 2 * stride, c0, c1, update);
  updateRow(output + 3 * stride, d0, d1, update);
  updateRow(output + 4 * stride, e0, e1, update);
}

/** The part of a tile that lies inside of the output, from its sums. */
export function updatePart(sums: usize, output: usize, stride: usize, rows: u32, columns: u32, update: u32): void {
  for (; rows > 0; rows--, sums += 4 * stripColumns, output += stride) {
    for (let i: u32 = 0; i < 4 * columns; i += 4) {
      const sum = load<f32>(sums + i);
      const present = load<f32>(output + i);
      store<f32>(output + i, update == Update.set ? sum : update == Update.add ? present + sum : present - sum);
    }
  }
}
