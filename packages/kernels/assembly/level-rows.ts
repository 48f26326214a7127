/**
 * The level table of a format: for each of its 2^s rows the 2^b levels it offers, less the centre, as
 * [first level, then (border, step to the next level) for the others]. A weight at or above a border takes the level above it.
 * src/level-rows.ts writes it; headers of kernels begin with it, one field a 32-bit word.
 */
@unmanaged
export class LevelRows {
  /** 2^s and 2^b. */
  tableRows: u32;
  levelsPerRow: u32;
  /** Whether the levels of a table row are evenly spaced by `levelStep`. */
  isLinear: u32;
  levelStep: f32;
  levels: usize;
}

// The levels nearest to 16 values, and their private codes as int32, are left here for the caller: AssemblyScript has no tuples.
export let level0: v128 = f32x4.splat(0);
export let level1: v128 = f32x4.splat(0);
export let level2: v128 = f32x4.splat(0);
export let level3: v128 = f32x4.splat(0);
export let code0: v128 = i32x4.splat(0);
export let code1: v128 = i32x4.splat(0);
export let code2: v128 = i32x4.splat(0);
export let code3: v128 = i32x4.splat(0);

@inline
function linearCode(x: v128, first: v128, inverseStep: v128, last: v128): v128 {
  const code = f32x4.nearest(f32x4.mul(f32x4.sub(x, first), inverseStep));
  return f32x4.min(f32x4.max(code, f32x4.splat(0)), last);
}

@inline
function nearestLinear(table: LevelRows, row: u32, x0: v128, x1: v128, x2: v128, x3: v128): void {
  const first = v128.load32_splat(table.levels + 8 * <usize>row * table.levelsPerRow);
  const step = f32x4.splat(table.levelStep);
  const inverseStep = f32x4.splat(1 / table.levelStep);
  const last = f32x4.splat(<f32>(table.levelsPerRow - 1));
  const c0 = linearCode(x0, first, inverseStep, last);
  const c1 = linearCode(x1, first, inverseStep, last);
  const c2 = linearCode(x2, first, inverseStep, last);
  const c3 = linearCode(x3, first, inverseStep, last);
  level0 = f32x4.add(first, f32x4.mul(c0, step));
  level1 = f32x4.add(first, f32x4.mul(c1, step));
  level2 = f32x4.add(first, f32x4.mul(c2, step));
  level3 = f32x4.add(first, f32x4.mul(c3, step));
  code0 = i32x4.trunc_sat_f32x4_s(c0);
  code1 = i32x4.trunc_sat_f32x4_s(c1);
  code2 = i32x4.trunc_sat_f32x4_s(c2);
  code3 = i32x4.trunc_sat_f32x4_s(c3);
}

@inline
function nearestInTable(table: LevelRows, row: u32, x0: v128, x1: v128, x2: v128, x3: v128): void {
  let place = table.levels + 8 * <usize>row * table.levelsPerRow;
  const end = place + 8 * table.levelsPerRow - 4;
  let l0 = v128.load32_splat(place);
  let l1 = l0;
  let l2 = l0;
  let l3 = l0;
  let c0: v128 = i32x4.splat(0);
  let c1: v128 = i32x4.splat(0);
  let c2: v128 = i32x4.splat(0);
  let c3: v128 = i32x4.splat(0);
  for (place += 4; place < end; place += 8) {
    const border = v128.load32_splat(place);
    const step = v128.load32_splat(place, 4);
    const m0 = f32x4.ge(x0, border);
    const m1 = f32x4.ge(x1, border);
    const m2 = f32x4.ge(x2, border);
    const m3 = f32x4.ge(x3, border);
    l0 = f32x4.add(l0, v128.and(m0, step));
    l1 = f32x4.add(l1, v128.and(m1, step));
    l2 = f32x4.add(l2, v128.and(m2, step));
    l3 = f32x4.add(l3, v128.and(m3, step));
    c0 = i32x4.sub(c0, m0);
    c1 = i32x4.sub(c1, m1);
    c2 = i32x4.sub(c2, m2);
    c3 = i32x4.sub(c3, m3);
  }
  level0 = l0;
  level1 = l1;
  level2 = l2;
  level3 = l3;
  code0 = c0;
  code1 = c1;
  code2 = c2;
  code3 = c3;
}

@inline
export function nearest(table: LevelRows, row: u32, x0: v128, x1: v128, x2: v128, x3: v128): void {
  if (table.isLinear) nearestLinear(table, row, x0, x1, x2, x3);
  else nearestInTable(table, row, x0, x1, x2, x3);
}
