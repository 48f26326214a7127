import { stripStride } from './strip';

/**
 * target -= sum over `count` columns of factor * error, for the target columns from `first` up to `end` of a strip. `errors` are
 * [count, 16] float32. The factors begin at `factors` for target 0, and are `errorStep` bytes from error to error and `targetStep` from target
 * to target. Neighbouring targets read the errors once.
 */
export function feedBack(
  strip: usize,
  factors: usize,
  errorStep: usize,
  targetStep: usize,
  errors: usize,
  count: u32,
  first: u32,
  end: u32,
): void {
  const errorsEnd = errors + count * stripStride;
  let w = strip + first * stripStride;
  let factor = factors + first * targetStep;
  let target = first;
  for (; target + 1 < end; target += 2, w += 2 * stripStride, factor += 2 * targetStep) {
    let a0 = v128.load(w);
    let a1 = v128.load(w, 16);
    let a2 = v128.load(w, 32);
    let a3 = v128.load(w, 48);
    let b0 = v128.load(w, 64);
    let b1 = v128.load(w, 80);
    let b2 = v128.load(w, 96);
    let b3 = v128.load(w, 112);
    let u = factor;
    for (let error = errors; error < errorsEnd; error += stripStride, u += errorStep) {
      const ua = v128.load32_splat(u);
      const ub = v128.load32_splat(u + targetStep);
      let e = v128.load(error);
      a0 = f32x4.sub(a0, f32x4.mul(ua, e));
      b0 = f32x4.sub(b0, f32x4.mul(ub, e));
      e = v128.load(error, 16);
      a1 = f32x4.sub(a1, f32x4.mul(ua, e));
      b1 = f32x4.sub(b1, f32x4.mul(ub, e));
      e = v128.load(error, 32);
      a2 = f32x4.sub(a2, f32x4.mul(ua, e));
      b2 = f32x4.sub(b2, f32x4.mul(ub, e));
      e = v128.load(error, 48);
      a3 = f32x4.sub(a3, f32x4.mul(ua, e));
      b3 = f32x4.sub(b3, f32x4.mul(ub, e));
    }
    v128.store(w, a0);
    v128.store(w, a1, 16);
    v128.store(w, a2, 32);
    v128.store(w, a3, 48);
    v128.store(w, b0, 64);
    v128.store(w, b1, 80);
    v128.store(w, b2, 96);
    v128.store(w, b3, 112);
  }
  if (target == end) return;
  let a0 = v128.load(w);
  let a1 = v128.load(w, 16);
  let a2 = v128.load(w, 32);
  let a3 = v128.load(w, 48);
  for (let error = errors; error < errorsEnd; error += stripStride, factor += errorStep) {
    const u = v128.load32_splat(factor);
    a0 = f32x4.sub(a0, f32x4.mul(u, v128.load(error)));
    a1 = f32x4.sub(a1, f32x4.mul(u, v128.load(error, 16)));
    a2 = f32x4.sub(a2, f32x4.mul(u, v128.load(error, 32)));
    a3 = f32x4.sub(a3, f32x4.mul(u, v128.load(error, 48)));
  }
  v128.store(w, a0);
  v128.store(w, a1, 16);
  v128.store(w, a2, 32);
  v128.store(w, a3, 48);
}
