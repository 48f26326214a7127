/** target[0 to length) -= factor * source, float64. */
@inline
function subtractMultiple(target: usize, factor: f64, source: usize, length: u32): void {
  const factors = f64x2.splat(factor);
  const end = source + 8 * (length & ~1);
  while (source < end) {
    v128.store(target, f64x2.sub(v128.load(target), f64x2.mul(factors, v128.load(source))));
    source += 16;
    target += 16;
  }
  if (length & 1) store<f64>(target, load<f64>(target) - factor * load<f64>(source));
}

/** target[0 to length) *= factor, float64. */
@inline
function scale(target: usize, factor: f64, length: u32): void {
  for (const end = target + 8 * length; target < end; target += 8) store<f64>(target, load<f64>(target) * factor);
}

/** M^T of M M^T = A, for A [size, size] in its lower triangle, in place. Returns the first pivot that is not positive and finite, else `size`. */
function factor(a: usize, size: u32): u32 {
  const stride = 8 * size;
  for (let j = size; j > 0; j--) {
    const row = a + (j - 1) * stride;
    const pivot = load<f64>(row + 8 * (j - 1));
    if (!(pivot > 0 && pivot < Infinity)) return j - 1;
    const root = sqrt(pivot);
    store<f64>(row + 8 * (j - 1), root);
    scale(row, 1 / root, j - 1);
    for (let i: u32 = 0; i < j - 1; i++) subtractMultiple(a + i * stride, load<f64>(row + 8 * i), row, i + 1);
  }
  return size;
}

/** Replaces a lower triangular matrix by its inverse. */
function invertLower(a: usize, size: u32): void {
  const stride = 8 * size;
  for (let i: u32 = 0; i < size; i++) {
    const row = a + i * stride;
    const reciprocal = 1 / load<f64>(row + 8 * i);
    for (let k: u32 = 0; k < i; k++) {
      const place = row + 8 * k;
      const value = load<f64>(place);
      store<f64>(place, 0);
      subtractMultiple(row, value, a + k * stride, k + 1);
    }
    scale(row, reciprocal, i);
    store<f64>(row + 8 * i, reciprocal);
  }
}

/**
 * Replaces a symmetric block A [size, size], of which only the upper triangle is read, by M^-1 where A = M M^T and M is upper
 * triangular. Computed in float64; `scratch` holds 8 * size^2 bytes, `stride` counts floats. Returns `size`, or, where A is not
 * positive definite, the index of the pivot that is not positive and finite: then A is as it was.
 */
export function invertFactor(block: usize, stride: u32, size: u32, scratch: usize): u32 {
  for (let i: u32 = 0; i < size; i++) {
    for (let j: u32 = 0; j <= i; j++) {
      store<f64>(scratch + 8 * (i * size + j), <f64>load<f32>(block + 4 * (j * stride + i)));
    }
  }
  const failed = factor(scratch, size);
  if (failed < size) return failed;
  invertLower(scratch, size);
  for (let i: u32 = 0; i < size; i++) {
    for (let j: u32 = 0; j < size; j++) {
      store<f32>(block + 4 * (i * stride + j), j < i ? 0 : <f32>load<f64>(scratch + 8 * (j * size + i)));
    }
  }
  return size;
}
