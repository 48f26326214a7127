/**
 * Refinement of chosen codes: coordinate descent on the loss tr((W - Q) H (W - Q)^T) of a strip. What it needs of H for a change of one
 * weight is its row of H and the *gradient* G = (W - Q) H: changing a weight by x changes the loss by x (x H_jj - 2 G_j).
 */

import { feedBack } from './feed-back';
import {
  code0,
  code1,
  code2,
  code3,
  LevelRows,
  level0,
  level1,
  level2,
  level3,
  nearest,
} from './level-rows';
import { laneMask, residualCodes, storeBytes, stripStride } from './strip';

/** What the strips of a matrix have in common; written by src/code-refinement.ts, one field a 32-bit word. */
@unmanaged
export class RefinementHeader extends LevelRows {
  columns: u32;
  groupSize: u32;
  groups: u32;
  /** Columns whose codes are chosen together: the sharing block, or any number where no bits are shared. */
  block: u32;
  /** [columns, columns] float32, symmetric and positive definite. */
  hessian: usize;
  /** [columns] float32: 1 / H_jj. */
  inverseDiagonal: usize;
  /** [2^(b + s)] float32: the level of each code, less the centre. */
  levelOfCode: usize;
  /** Shared bits. */
  sharedBits: u32;
  /** Scales that each group chooses from; the first is the present one. */
  candidates: u32;
}

/** A strip that is refined; written by src/code-refinement.ts, one field a 32-bit word. Arrays are float32 unless said otherwise. */
@unmanaged
export class RefinedStrip {
  /** [columns, 16] W. */
  weights: usize;
  /** [columns, 16] G = (W - Q) H, as a group needs it when a sweep comes to it. */
  gradient: usize;
  /** [columns, 16] Q. */
  values: usize;
  /** [columns, 16] levels less the centre and the zero-point. */
  levels: usize;
  /** [columns, 16] how the last sweep changed Q. */
  changes: usize;
  /** [groups, 3, 16] scales, their inverses (0 for a scale of 0) and what is taken from levels. */
  parameters: usize;
  /** [groups, candidates, 16] scales to choose from. */
  candidates: usize;
  /** [groups, 16] bytes: which of the candidates was chosen. */
  chosen: usize;
  /** [columns, 16] bytes. */
  codes: usize;
  /** [blocks, 16] bytes. */
  shared: usize;
  /** [columns, 16] bytes, 255 for a salient weight; 0 for none. */
  salient: usize;
  /** [columns, 16] int8. */
  residuals: usize;
  /** [2, 16] scales of the residuals and the inverses. */
  sigmas: usize;
  /** [16] by how much the last sweep lowered the loss. */
  gains: usize;
  /** [16] the first sweep leaves the loss here, as it was but for what groups before have changed when their gradient was computed. */
  losses: usize;
  /** Holds (2 * min(groupSize, columns) + max(6 * block + 1, 256)) * 64 bytes. */
  scratch: usize;
}

/** Columns whose errors stay in the first-level cache while they are fed to all others. */
const errorsAtOnce: u32 = 256;

/** Writes the levels and values that the codes stand for. */
function decodeStrip(header: RefinementHeader, strip: RefinedStrip): void {
  const columns = header.columns;
  for (let column: u32 = 0; column < columns; column++) {
    const shared = strip.shared + 16 * (column / header.block);
    const parameters = strip.parameters + 3 * stripStride * (column / header.groupSize);
    const codes = strip.codes + 16 * column;
    const levels = strip.levels + column * stripStride;
    for (let lane: u32 = 0; lane < 16; lane++) {
      const code = ((<u32>load<u8>(codes + lane)) << header.sharedBits) | load<u8>(shared + lane);
      store<f32>(levels + 4 * lane, load<f32>(header.levelOfCode + 4 * code));
    }
    const isSalient = strip.salient != 0 && v128.any_true(v128.load(strip.salient + 16 * column));
    for (let quarter: usize = 0; quarter < stripStride; quarter += 16) {
      const level = f32x4.sub(v128.load(levels + quarter), v128.load(parameters + quarter, 2 * stripStride));
      let value = f32x4.mul(level, v128.load(parameters + quarter));
      if (isSalient) {
        const residual = f32x4.convert_i32x4_s(laneMask(strip.residuals + 16 * column + (quarter >> 2)));
        value = f32x4.add(value, f32x4.mul(residual, v128.load(strip.sigmas + quarter)));
      }
      v128.store(levels + quarter, level);
      v128.store(strip.values + column * stripStride + quarter, value);
    }
  }
}

/** Computes the gradient of a group from everything as it is now, and adds the group's part to the losses. */
function computeGradient(header: RefinementHeader, strip: RefinedStrip, start: u32, end: u32): void {
  const columns = header.columns;
  const errors = strip.scratch + 2 * min(header.groupSize, columns) * stripStride;
  for (let place = start * stripStride; place < end * stripStride; place += 16) {
    v128.store(strip.gradient + place, f32x4.splat(0));
  }
  for (let from: u32 = 0; from < columns; from += errorsAtOnce) {
    const count = min(errorsAtOnce, columns - from);
    const source = from * stripStride;
    for (let place: u32 = 0; place < count * stripStride; place += 16) {
      const value = v128.load(strip.values + source + place);
      v128.store(errors + place, f32x4.sub(value, v128.load(strip.weights + source + place)));
    }
    feedBack(strip.gradient, header.hessian + 4 * from, 4, 4 * columns, errors, count, start, end);
  }
  for (let quarter: usize = 0; quarter < stripStride; quarter += 16) {
    let loss = v128.load(strip.losses + quarter);
    for (let place = start * stripStride + quarter; place < end * stripStride; place += stripStride) {
      const error = f32x4.sub(v128.load(strip.weights + place), v128.load(strip.values + place));
      loss = f32x4.add(loss, f32x4.mul(error, v128.load(strip.gradient + place)));
    }
    v128.store(strip.losses + quarter, loss);
  }
}

/**
 * Visits every group once: chooses the scale among the candidates, then the codes, block by block. Every change is the exact minimum of the
 * loss over what is chosen, all else given, so the loss does not rise.
 *
 * Sweeps alternate between ascending and descending columns. The first one, number 0, computes the gradient of each group when it comes to it.
 * After that, what a group changes is fed to the gradient of those behind it in the same sweep, and to those before it in the next
 * one, which comes from the other side: half of the work of feeding it to all.
 */
export function refineStrip(header: RefinementHeader, strip: RefinedStrip, sweep: u32): void {
  const columns = header.columns;
  const changed = strip.scratch;
  const ascending = (sweep & 1) == 0;
  for (let quarter: usize = 0; quarter < stripStride; quarter += 16) {
    v128.store(strip.gains + quarter, f32x4.splat(0));
    if (sweep == 0) v128.store(strip.losses + quarter, f32x4.splat(0));
  }
  if (sweep == 0) decodeStrip(header, strip);
  for (let step: u32 = 0; step < header.groups; step++) {
    const group = ascending ? step : header.groups - 1 - step;
    const start = group * header.groupSize;
    const end = min(start + header.groupSize, columns);
    if (sweep == 0) computeGradient(header, strip, start, end);
    chooseScales(header, strip, group, start, end);
    const blocks = (end - start + header.block - 1) / header.block;
    for (let i: u32 = 0; i < blocks; i++) {
      const from = start + (ascending ? i : blocks - 1 - i) * header.block;
      chooseBlock(header, strip, group, start, end, from, min(from + header.block, end));
    }
    const bytes = (end - start) * stripStride;
    const changes = strip.changes + start * stripStride;
    if (sweep == 0) {
      memory.copy(changes, changed, bytes);
      continue;
    }
    let any: v128 = f32x4.splat(0);
    for (let place: usize = 0; place < bytes; place += 16) {
      const now = v128.load(changed + place);
      const both = f32x4.add(now, v128.load(changes + place));
      v128.store(changes + place, now);
      v128.store(changed + place, both);
      any = v128.or(any, f32x4.ne(both, f32x4.splat(0)));
    }
    if (!v128.any_true(any)) continue;
    // H is symmetric: with the roles of rows and columns exchanged, what a target reads is in one piece.
    const factors = header.hessian + 4 * <usize>start;
    const from = ascending ? end : 0;
    feedBack(strip.gradient, factors, 4, 4 * columns, changed, end - start, from, ascending ? columns : start);
  }
}

/**
 * Chooses the scale of each row's group: with levels l of the group, a change by d changes the loss by d (d l^T H l - 2 l^T G). Leaves the
 * changes of the group's values in the scratch.
 */
function chooseScales(header: RefinementHeader, strip: RefinedStrip, group: u32, start: u32, end: u32): void {
  const count = end - start;
  const bytes = count * stripStride;
  const changed = strip.scratch;
  // -H l, of the group's columns.
  const curvature = changed + min(header.groupSize, header.columns) * stripStride;
  const levels = strip.levels + start * stripStride;
  const gradient = strip.gradient + start * stripStride;
  const values = strip.values + start * stripStride;
  for (let place: usize = 0; place < bytes; place += 16) v128.store(curvature + place, f32x4.splat(0));
  feedBack(
    curvature,
    header.hessian + 4 * (<usize>start * header.columns + start),
    4,
    4 * header.columns,
    levels,
    count,
    0,
    count,
  );
  const parameters = strip.parameters + 3 * stripStride * group;
  const candidates = strip.candidates + header.candidates * stripStride * group;
  for (let quarter: usize = 0; quarter < stripStride; quarter += 16) {
    let squares: v128 = f32x4.splat(0);
    let products: v128 = f32x4.splat(0);
    for (let place = quarter; place < bytes; place += stripStride) {
      const level = v128.load(levels + place);
      squares = f32x4.sub(squares, f32x4.mul(level, v128.load(curvature + place)));
      products = f32x4.add(products, f32x4.mul(level, v128.load(gradient + place)));
    }
    const twice = f32x4.add(products, products);
    const present = v128.load(candidates + quarter);
    let least: v128 = f32x4.splat(0);
    let scale = present;
    let chosen: v128 = i32x4.splat(0);
    for (let i: u32 = 1; i < header.candidates; i++) {
      const candidate = v128.load(candidates + quarter + i * stripStride);
      const change = f32x4.sub(candidate, present);
      const loss = f32x4.mul(change, f32x4.sub(f32x4.mul(change, squares), twice));
      const isLess = f32x4.lt(loss, least);
      least = v128.bitselect(loss, least, isLess);
      scale = v128.bitselect(candidate, scale, isLess);
      chosen = v128.bitselect(i32x4.splat(i), chosen, isLess);
    }
    // A lane of `chosen` is a byte, and the three above it are 0.
    const narrow = i16x8.narrow_i32x4_u(chosen, chosen);
    v128.store32_lane(strip.chosen + 16 * group + (quarter >> 2), i8x16.narrow_i16x8_u(narrow, narrow), 0);
    v128.store(strip.gains + quarter, f32x4.sub(v128.load(strip.gains + quarter), least));
    const isChanged = v128.any_true(chosen);
    const change = f32x4.sub(scale, present);
    for (let place = quarter; place < bytes; place += stripStride) {
      const moved = f32x4.mul(change, v128.load(levels + place));
      v128.store(changed + place, moved);
      if (!isChanged) continue;
      v128.store(values + place, f32x4.add(v128.load(values + place), moved));
      const slope = f32x4.mul(change, v128.load(curvature + place));
      v128.store(gradient + place, f32x4.add(v128.load(gradient + place), slope));
    }
    if (!isChanged) continue;
    v128.store(parameters + quarter, scale);
    const inverse = f32x4.pmin(f32x4.splat(1.7014118346046923e38), f32x4.div(f32x4.splat(1), scale));
    v128.store(parameters + quarter, v128.and(inverse, f32x4.gt(scale, f32x4.splat(0))), stripStride);
  }
}

/**
 * Chooses the codes of a block: for each row of the level table column by column, each the exact minimum of the loss given those before it
 * in the block as they were just chosen and everything else as it is; then the row with the least loss. With the present row a weight
 * may keep its code, so that the best row does not raise the loss.
 */
function chooseBlock(
  header: RefinementHeader,
  strip: RefinedStrip,
  group: u32,
  start: u32,
  end: u32,
  from: u32,
  to: u32,
): void {
  const columns = header.columns;
  const count = to - from;
  const bytes = count * stripStride;
  const changed = strip.scratch;
  const scratch = changed + 2 * min(header.groupSize, columns) * stripStride;
  // Changes of the values, levels, and codes with their residuals: of the row that is tried, and of the best so far.
  const trial = scratch;
  const best = scratch + 3 * bytes;
  const targets = scratch + 6 * bytes;
  const parameters = strip.parameters + 3 * stripStride * group;
  const block = 16 * (from / header.block);
  const hessian = header.hessian + 4 * (<usize>from * columns + from);
  const s0 = v128.load(parameters);
  const s1 = v128.load(parameters, 16);
  const s2 = v128.load(parameters, 32);
  const s3 = v128.load(parameters, 48);
  const i0 = v128.load(parameters, 64);
  const i1 = v128.load(parameters, 80);
  const i2 = v128.load(parameters, 96);
  const i3 = v128.load(parameters, 112);
  const o0 = v128.load(parameters, 128);
  const o1 = v128.load(parameters, 144);
  const o2 = v128.load(parameters, 160);
  const o3 = v128.load(parameters, 176);
  let least0: v128 = f32x4.splat(Infinity);
  let least1 = least0;
  let least2 = least0;
  let least3 = least0;
  const presentRows = v128.load(strip.shared + block);
  let bestRows = presentRows;
  for (let row: u32 = 0; row < header.tableRows; row++) {
    let sum0: v128 = f32x4.splat(0);
    let sum1 = sum0;
    let sum2 = sum0;
    let sum3 = sum0;
    const isPresent = i8x16.eq(presentRows, i8x16.splat(<i8>row));
    for (let j: u32 = 0; j < count; j++) {
      const column = from + j;
      const offset = j * stripStride;
      // The gradient with what the columns before have changed.
      const source = strip.gradient + column * stripStride;
      let g0 = v128.load(source);
      let g1 = v128.load(source, 16);
      let g2 = v128.load(source, 32);
      let g3 = v128.load(source, 48);
      let h = hessian + 4 * j * columns;
      for (let x = trial; x < trial + offset; x += stripStride, h += 4) {
        const factor = v128.load32_splat(h);
        g0 = f32x4.sub(g0, f32x4.mul(factor, v128.load(x)));
        g1 = f32x4.sub(g1, f32x4.mul(factor, v128.load(x, 16)));
        g2 = f32x4.sub(g2, f32x4.mul(factor, v128.load(x, 32)));
        g3 = f32x4.sub(g3, f32x4.mul(factor, v128.load(x, 48)));
      }
      const diagonal = v128.load32_splat(h);
      const inverse = v128.load32_splat(header.inverseDiagonal + 4 * column);
      // By how much each value would change if it could be anything.
      const d0 = f32x4.mul(g0, inverse);
      const d1 = f32x4.mul(g1, inverse);
      const d2 = f32x4.mul(g2, inverse);
      const d3 = f32x4.mul(g3, inverse);
      const value = strip.values + column * stripStride;
      const t0 = f32x4.add(v128.load(value), d0);
      const t1 = f32x4.add(v128.load(value, 16), d1);
      const t2 = f32x4.add(v128.load(value, 32), d2);
      const t3 = f32x4.add(v128.load(value, 48), d3);
      nearest(
        header,
        row,
        f32x4.add(f32x4.mul(t0, i0), o0),
        f32x4.add(f32x4.mul(t1, i1), o1),
        f32x4.add(f32x4.mul(t2, i2), o2),
        f32x4.add(f32x4.mul(t3, i3), o3),
      );
      let l0 = f32x4.sub(level0, o0);
      let l1 = f32x4.sub(level1, o1);
      let l2 = f32x4.sub(level2, o2);
      let l3 = f32x4.sub(level3, o3);
      let c0 = code0;
      let c1 = code1;
      let c2 = code2;
      let c3 = code3;
      let v0 = f32x4.mul(l0, s0);
      let v1 = f32x4.mul(l1, s1);
      let v2 = f32x4.mul(l2, s2);
      let v3 = f32x4.mul(l3, s3);
      const isSalient = strip.salient != 0 && v128.any_true(v128.load(strip.salient + 16 * column));
      if (isSalient) {
        const mask = strip.salient + 16 * column;
        const sigmas = strip.sigmas;
        const r0 = residualCodes(f32x4.sub(t0, v0), v128.load(sigmas, 64), laneMask(mask));
        const r1 = residualCodes(f32x4.sub(t1, v1), v128.load(sigmas, 80), laneMask(mask + 4));
        const r2 = residualCodes(f32x4.sub(t2, v2), v128.load(sigmas, 96), laneMask(mask + 8));
        const r3 = residualCodes(f32x4.sub(t3, v3), v128.load(sigmas, 112), laneMask(mask + 12));
        v0 = f32x4.add(v0, f32x4.mul(r0, v128.load(sigmas)));
        v1 = f32x4.add(v1, f32x4.mul(r1, v128.load(sigmas, 16)));
        v2 = f32x4.add(v2, f32x4.mul(r2, v128.load(sigmas, 32)));
        v3 = f32x4.add(v3, f32x4.mul(r3, v128.load(sigmas, 48)));
        // A residual code travels above its weight's private code.
        c0 = i32x4.add(c0, i32x4.shl(i32x4.trunc_sat_f32x4_s(r0), 8));
        c1 = i32x4.add(c1, i32x4.shl(i32x4.trunc_sat_f32x4_s(r1), 8));
        c2 = i32x4.add(c2, i32x4.shl(i32x4.trunc_sat_f32x4_s(r2), 8));
        c3 = i32x4.add(c3, i32x4.shl(i32x4.trunc_sat_f32x4_s(r3), 8));
      }
      let x0 = f32x4.sub(v0, v128.load(value));
      let x1 = f32x4.sub(v1, v128.load(value, 16));
      let x2 = f32x4.sub(v2, v128.load(value, 32));
      let x3 = f32x4.sub(v3, v128.load(value, 48));
      let loss0 = lossOf(x0, diagonal, g0);
      let loss1 = lossOf(x1, diagonal, g1);
      let loss2 = lossOf(x2, diagonal, g2);
      let loss3 = lossOf(x3, diagonal, g3);
      v128.store(targets, isPresent);
      const k0 = keeps(targets, loss0);
      const k1 = keeps(targets + 4, loss1);
      const k2 = keeps(targets + 8, loss2);
      const k3 = keeps(targets + 12, loss3);
      x0 = v128.andnot(x0, k0);
      x1 = v128.andnot(x1, k1);
      x2 = v128.andnot(x2, k2);
      x3 = v128.andnot(x3, k3);
      sum0 = f32x4.add(sum0, v128.andnot(loss0, k0));
      sum1 = f32x4.add(sum1, v128.andnot(loss1, k1));
      sum2 = f32x4.add(sum2, v128.andnot(loss2, k2));
      sum3 = f32x4.add(sum3, v128.andnot(loss3, k3));
      const place = trial + offset;
      v128.store(place, x0);
      v128.store(place, x1, 16);
      v128.store(place, x2, 32);
      v128.store(place, x3, 48);
      const present = strip.levels + column * stripStride;
      v128.store(place + bytes, v128.bitselect(v128.load(present), l0, k0));
      v128.store(place + bytes, v128.bitselect(v128.load(present, 16), l1, k1), 16);
      v128.store(place + bytes, v128.bitselect(v128.load(present, 32), l2, k2), 32);
      v128.store(place + bytes, v128.bitselect(v128.load(present, 48), l3, k3), 48);
      const codes = strip.codes + 16 * column;
      const residuals = isSalient ? strip.residuals + 16 * column : 0;
      v128.store(place + 2 * bytes, v128.bitselect(presentCodes(codes, residuals), c0, k0));
      v128.store(place + 2 * bytes, v128.bitselect(presentCodes(codes + 4, residuals && residuals + 4), c1, k1), 16);
      v128.store(place + 2 * bytes, v128.bitselect(presentCodes(codes + 8, residuals && residuals + 8), c2, k2), 32);
      v128.store(place + 2 * bytes, v128.bitselect(presentCodes(codes + 12, residuals && residuals + 12), c3, k3), 48);
    }
    const m0 = f32x4.lt(sum0, least0);
    const m1 = f32x4.lt(sum1, least1);
    const m2 = f32x4.lt(sum2, least2);
    const m3 = f32x4.lt(sum3, least3);
    least0 = v128.bitselect(sum0, least0, m0);
    least1 = v128.bitselect(sum1, least1, m1);
    least2 = v128.bitselect(sum2, least2, m2);
    least3 = v128.bitselect(sum3, least3, m3);
    const isBetter = i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(m0, m1), i16x8.narrow_i32x4_s(m2, m3));
    bestRows = v128.bitselect(i8x16.splat(<i8>row), bestRows, isBetter);
    for (let place: usize = 0; place < 3 * bytes; place += stripStride) {
      const tried = trial + place;
      const kept = best + place;
      v128.store(kept, v128.bitselect(v128.load(tried), v128.load(kept), m0));
      v128.store(kept, v128.bitselect(v128.load(tried, 16), v128.load(kept, 16), m1), 16);
      v128.store(kept, v128.bitselect(v128.load(tried, 32), v128.load(kept, 32), m2), 32);
      v128.store(kept, v128.bitselect(v128.load(tried, 48), v128.load(kept, 48), m3), 48);
    }
  }
  let any: v128 = f32x4.splat(0);
  for (let place: usize = 0; place < bytes; place += 16) {
    any = v128.or(any, f32x4.ne(v128.load(best + place), f32x4.splat(0)));
  }
  if (!v128.any_true(any)) return;
  v128.store(strip.gains, f32x4.sub(v128.load(strip.gains), least0));
  v128.store(strip.gains, f32x4.sub(v128.load(strip.gains, 16), least1), 16);
  v128.store(strip.gains, f32x4.sub(v128.load(strip.gains, 32), least2), 32);
  v128.store(strip.gains, f32x4.sub(v128.load(strip.gains, 48), least3), 48);
  v128.store(strip.shared + block, bestRows);
  const mask = i32x4.splat(255);
  for (let j: u32 = 0; j < count; j++) {
    const column = from + j;
    const kept = best + j * stripStride;
    const values = strip.values + column * stripStride;
    const levels = strip.levels + column * stripStride;
    const sums = changed + (column - start) * stripStride;
    for (let quarter: usize = 0; quarter < stripStride; quarter += 16) {
      const x = v128.load(kept + quarter);
      v128.store(values + quarter, f32x4.add(v128.load(values + quarter), x));
      v128.store(sums + quarter, f32x4.add(v128.load(sums + quarter), x));
      v128.store(levels + quarter, v128.load(kept + bytes + quarter));
    }
    const codes = kept + 2 * bytes;
    const c0 = v128.load(codes);
    const c1 = v128.load(codes, 16);
    const c2 = v128.load(codes, 32);
    const c3 = v128.load(codes, 48);
    storeBytes(
      strip.codes + 16 * column,
      v128.and(c0, mask),
      v128.and(c1, mask),
      v128.and(c2, mask),
      v128.and(c3, mask),
    );
    if (strip.salient) {
      storeBytes(
        strip.residuals + 16 * column,
        v128.and(i32x4.shr_s(c0, 8), mask),
        v128.and(i32x4.shr_s(c1, 8), mask),
        v128.and(i32x4.shr_s(c2, 8), mask),
        v128.and(i32x4.shr_s(c3, 8), mask),
      );
    }
  }
  feedBack(strip.gradient, header.hessian + 4 * <usize>from, 4, 4 * columns, best, count, start, end);
}

/** How the loss changes when a value changes by x. */
@inline
function lossOf(x: v128, diagonal: v128, gradient: v128): v128 {
  return f32x4.mul(x, f32x4.sub(f32x4.mul(x, diagonal), f32x4.add(gradient, gradient)));
}

/** Lanes whose bytes of `isPresent` are set and whose loss would not fall. */
@inline
function keeps(isPresent: usize, loss: v128): v128 {
  return v128.andnot(laneMask(isPresent), f32x4.lt(loss, f32x4.splat(0)));
}

/** Four private codes, below the residual codes where there are any. */
@inline
function presentCodes(codes: usize, residuals: usize): v128 {
  const code = i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_zero(codes)));
  if (!residuals) return code;
  return i32x4.add(code, i32x4.shl(laneMask(residuals), 8));
}
