/**
 * The search for codes: 16 rows of a matrix at a time, a row in each lane, so that the feedback of rounding errors from column to
 * column costs no shuffling.
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

/** Where the search of a matrix finds its parts; written by src/code-search.ts, one field a 32-bit word. */
@unmanaged
export class SearchHeader extends LevelRows {
  columns: u32;
  groupSize: u32;
  groups: u32;
  /** Columns whose codes are chosen together: the sharing block, or any number where no bits are shared. */
  block: u32;
  /** [columns] u32: the group of each column, in the order in which columns are searched. */
  groupOfColumn: usize;
  /** [columns, columns] float32, upper triangular: the Cholesky factor U of the inverse Hessian; 0 for rounding without feedback. */
  upper: usize;
}

/**
 * How well scales fit a strip: `errors` [groups, 16], for each group and row the squared error of rounding without feedback, weighted by
 * `importance` [columns, 16]. `parameters` [groups, 3, 16] are the scales, their inverses (0 for a scale of 0) and the offsets that are taken
 * from levels.
 */
export function evaluateScales(
  header: SearchHeader,
  strip: usize,
  parameters: usize,
  importance: usize,
  errors: usize,
): void {
  for (let group: u32 = 0; group < header.groups; group++, parameters += 3 * stripStride, errors += stripStride) {
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
    let total0: v128 = f32x4.splat(0);
    let total1 = total0;
    let total2 = total0;
    let total3 = total0;
    const groupEnd = min((group + 1) * header.groupSize, header.columns);
    for (let from = group * header.groupSize; from < groupEnd; from += header.block) {
      const to = min(from + header.block, groupEnd);
      let best0: v128 = f32x4.splat(Infinity);
      let best1 = best0;
      let best2 = best0;
      let best3 = best0;
      for (let row: u32 = 0; row < header.tableRows; row++) {
        let sum0: v128 = f32x4.splat(0);
        let sum1 = sum0;
        let sum2 = sum0;
        let sum3 = sum0;
        for (let j = from; j < to; j++) {
          const column = strip + j * stripStride;
          let w0 = v128.load(column);
          let w1 = v128.load(column, 16);
          let w2 = v128.load(column, 32);
          let w3 = v128.load(column, 48);
          nearest(
            header,
            row,
            f32x4.add(f32x4.mul(w0, i0), o0),
            f32x4.add(f32x4.mul(w1, i1), o1),
            f32x4.add(f32x4.mul(w2, i2), o2),
            f32x4.add(f32x4.mul(w3, i3), o3),
          );
          w0 = f32x4.sub(w0, f32x4.mul(f32x4.sub(level0, o0), s0));
          w1 = f32x4.sub(w1, f32x4.mul(f32x4.sub(level1, o1), s1));
          w2 = f32x4.sub(w2, f32x4.mul(f32x4.sub(level2, o2), s2));
          w3 = f32x4.sub(w3, f32x4.mul(f32x4.sub(level3, o3), s3));
          const factor = importance + j * stripStride;
          sum0 = f32x4.add(sum0, f32x4.mul(f32x4.mul(w0, w0), v128.load(factor)));
          sum1 = f32x4.add(sum1, f32x4.mul(f32x4.mul(w1, w1), v128.load(factor, 16)));
          sum2 = f32x4.add(sum2, f32x4.mul(f32x4.mul(w2, w2), v128.load(factor, 32)));
          sum3 = f32x4.add(sum3, f32x4.mul(f32x4.mul(w3, w3), v128.load(factor, 48)));
        }
        best0 = f32x4.pmin(best0, sum0);
        best1 = f32x4.pmin(best1, sum1);
        best2 = f32x4.pmin(best2, sum2);
        best3 = f32x4.pmin(best3, sum3);
      }
      total0 = f32x4.add(total0, best0);
      total1 = f32x4.add(total1, best1);
      total2 = f32x4.add(total2, best2);
      total3 = f32x4.add(total3, best3);
    }
    v128.store(errors, total0);
    v128.store(errors, total1, 16);
    v128.store(errors, total2, 32);
    v128.store(errors, total3, 48);
  }
}

/**
 * Chooses the codes of a strip, column by column; every block tries each row of the level table and keeps the one with the least
 * sum of ((w - q) * error weight)^2. With `header.upper` the rounding errors are fed back: through the columns of the block while a
 * row of the table is tried (so the shared bits are part of the search), and to all later columns when it is chosen.
 *
 * `strip` is changed to what the codes were chosen for. `parameters` are those of `evaluateScales`, `errorWeights` [columns, 16] are 1 / U_jj, or
 * without feedback the square roots of the importance. `salient` is [columns, 16]
 * bytes, 255 for a salient weight, or 0 for none; `sigmas` [2, 16] their scales and the inverses. Writes `codes` [columns, 16] bytes, `shared` [blocks, 16] bytes, `residuals`
 * [columns, 16] int8, and adds to `losses` [16] the least sums. Scratch holds 4 * block * 64 bytes.
 */
export function searchCodes(
  header: SearchHeader,
  strip: usize,
  parameters: usize,
  errorWeights: usize,
  salient: usize,
  sigmas: usize,
  codes: usize,
  shared: usize,
  residuals: usize,
  losses: usize,
  scratch: usize,
): void {
  const columns = header.columns;
  const upper = header.upper;
  const blockBytes = header.block * stripStride;
  const trialErrors = scratch;
  const trialCodes = scratch + blockBytes;
  const bestErrors = scratch + 2 * blockBytes;
  const bestCodes = scratch + 3 * blockBytes;
  for (let from: u32 = 0; from < columns; from += header.block) {
    const to = min(from + header.block, columns);
    let best0: v128 = f32x4.splat(Infinity);
    let best1 = best0;
    let best2 = best0;
    let best3 = best0;
    let row0: v128 = i32x4.splat(0);
    let row1 = row0;
    let row2 = row0;
    let row3 = row0;
    for (let row: u32 = 0; row < header.tableRows; row++) {
      let sum0: v128 = f32x4.splat(0);
      let sum1 = sum0;
      let sum2 = sum0;
      let sum3 = sum0;
      for (let j = from; j < to; j++) {
        const column = strip + j * stripStride;
        let w0 = v128.load(column);
        let w1 = v128.load(column, 16);
        let w2 = v128.load(column, 32);
        let w3 = v128.load(column, 48);
        if (upper) {
          let u = upper + 4 * (<usize>from * columns + j);
          const end = trialErrors + (j - from) * stripStride;
          for (let e = trialErrors; e < end; e += stripStride, u += 4 * columns) {
            const factor = v128.load32_splat(u);
            w0 = f32x4.sub(w0, f32x4.mul(factor, v128.load(e)));
            w1 = f32x4.sub(w1, f32x4.mul(factor, v128.load(e, 16)));
            w2 = f32x4.sub(w2, f32x4.mul(factor, v128.load(e, 32)));
            w3 = f32x4.sub(w3, f32x4.mul(factor, v128.load(e, 48)));
          }
        }
        const group = parameters + 3 * stripStride * load<u32>(header.groupOfColumn + 4 * j);
        const s0 = v128.load(group);
        const s1 = v128.load(group, 16);
        const s2 = v128.load(group, 32);
        const s3 = v128.load(group, 48);
        const o0 = v128.load(group, 128);
        const o1 = v128.load(group, 144);
        const o2 = v128.load(group, 160);
        const o3 = v128.load(group, 176);
        nearest(
          header,
          row,
          f32x4.add(f32x4.mul(w0, v128.load(group, 64)), o0),
          f32x4.add(f32x4.mul(w1, v128.load(group, 80)), o1),
          f32x4.add(f32x4.mul(w2, v128.load(group, 96)), o2),
          f32x4.add(f32x4.mul(w3, v128.load(group, 112)), o3),
        );
        let c0 = code0;
        let c1 = code1;
        let c2 = code2;
        let c3 = code3;
        w0 = f32x4.sub(w0, f32x4.mul(f32x4.sub(level0, o0), s0));
        w1 = f32x4.sub(w1, f32x4.mul(f32x4.sub(level1, o1), s1));
        w2 = f32x4.sub(w2, f32x4.mul(f32x4.sub(level2, o2), s2));
        w3 = f32x4.sub(w3, f32x4.mul(f32x4.sub(level3, o3), s3));
        if (salient && v128.any_true(v128.load(salient + 16 * j))) {
          const g0 = v128.load(sigmas);
          const g1 = v128.load(sigmas, 16);
          const g2 = v128.load(sigmas, 32);
          const g3 = v128.load(sigmas, 48);
          const r0 = residualCodes(w0, v128.load(sigmas, 64), laneMask(salient + 16 * j));
          const r1 = residualCodes(w1, v128.load(sigmas, 80), laneMask(salient + 16 * j + 4));
          const r2 = residualCodes(w2, v128.load(sigmas, 96), laneMask(salient + 16 * j + 8));
          const r3 = residualCodes(w3, v128.load(sigmas, 112), laneMask(salient + 16 * j + 12));
          w0 = f32x4.sub(w0, f32x4.mul(r0, g0));
          w1 = f32x4.sub(w1, f32x4.mul(r1, g1));
          w2 = f32x4.sub(w2, f32x4.mul(r2, g2));
          w3 = f32x4.sub(w3, f32x4.mul(r3, g3));
          // A residual code travels above its weight's private code.
          c0 = i32x4.add(c0, i32x4.shl(i32x4.trunc_sat_f32x4_s(r0), 8));
          c1 = i32x4.add(c1, i32x4.shl(i32x4.trunc_sat_f32x4_s(r1), 8));
          c2 = i32x4.add(c2, i32x4.shl(i32x4.trunc_sat_f32x4_s(r2), 8));
          c3 = i32x4.add(c3, i32x4.shl(i32x4.trunc_sat_f32x4_s(r3), 8));
        }
        const weight = errorWeights + j * stripStride;
        w0 = f32x4.mul(w0, v128.load(weight));
        w1 = f32x4.mul(w1, v128.load(weight, 16));
        w2 = f32x4.mul(w2, v128.load(weight, 32));
        w3 = f32x4.mul(w3, v128.load(weight, 48));
        sum0 = f32x4.add(sum0, f32x4.mul(w0, w0));
        sum1 = f32x4.add(sum1, f32x4.mul(w1, w1));
        sum2 = f32x4.add(sum2, f32x4.mul(w2, w2));
        sum3 = f32x4.add(sum3, f32x4.mul(w3, w3));
        const offset = (j - from) * stripStride;
        v128.store(trialErrors + offset, w0);
        v128.store(trialErrors + offset, w1, 16);
        v128.store(trialErrors + offset, w2, 32);
        v128.store(trialErrors + offset, w3, 48);
        v128.store(trialCodes + offset, c0);
        v128.store(trialCodes + offset, c1, 16);
        v128.store(trialCodes + offset, c2, 32);
        v128.store(trialCodes + offset, c3, 48);
      }
      const m0 = f32x4.lt(sum0, best0);
      const m1 = f32x4.lt(sum1, best1);
      const m2 = f32x4.lt(sum2, best2);
      const m3 = f32x4.lt(sum3, best3);
      best0 = v128.bitselect(sum0, best0, m0);
      best1 = v128.bitselect(sum1, best1, m1);
      best2 = v128.bitselect(sum2, best2, m2);
      best3 = v128.bitselect(sum3, best3, m3);
      const rows = i32x4.splat(row);
      row0 = v128.bitselect(rows, row0, m0);
      row1 = v128.bitselect(rows, row1, m1);
      row2 = v128.bitselect(rows, row2, m2);
      row3 = v128.bitselect(rows, row3, m3);
      // Errors and codes are neighbours in the scratch, so one loop serves both.
      for (let place: usize = 0; place < 2 * blockBytes; place += stripStride) {
        const trial = trialErrors + place;
        const kept = bestErrors + place;
        v128.store(kept, v128.bitselect(v128.load(trial), v128.load(kept), m0));
        v128.store(kept, v128.bitselect(v128.load(trial, 16), v128.load(kept, 16), m1), 16);
        v128.store(kept, v128.bitselect(v128.load(trial, 32), v128.load(kept, 32), m2), 32);
        v128.store(kept, v128.bitselect(v128.load(trial, 48), v128.load(kept, 48), m3), 48);
      }
    }
    v128.store(losses, f32x4.add(v128.load(losses), best0));
    v128.store(losses, f32x4.add(v128.load(losses, 16), best1), 16);
    v128.store(losses, f32x4.add(v128.load(losses, 32), best2), 32);
    v128.store(losses, f32x4.add(v128.load(losses, 48), best3), 48);
    const block = 16 * (from / header.block);
    storeBytes(shared + block, row0, row1, row2, row3);
    for (let j = from; j < to; j++) {
      const kept = bestCodes + (j - from) * stripStride;
      const c0 = v128.load(kept);
      const c1 = v128.load(kept, 16);
      const c2 = v128.load(kept, 32);
      const c3 = v128.load(kept, 48);
      const mask = i32x4.splat(255);
      storeBytes(codes + 16 * j, v128.and(c0, mask), v128.and(c1, mask), v128.and(c2, mask), v128.and(c3, mask));
      if (salient) {
        storeBytes(
          residuals + 16 * j,
          v128.and(i32x4.shr_s(c0, 8), mask),
          v128.and(i32x4.shr_s(c1, 8), mask),
          v128.and(i32x4.shr_s(c2, 8), mask),
          v128.and(i32x4.shr_s(c3, 8), mask),
        );
      }
    }
    if (upper) {
      feedBack(strip, upper + 4 * <usize>from * columns, 4 * columns, 4, bestErrors, to - from, to, columns);
    }
  }
}
