/** Interim: H = M M^T with M upper triangular, U = M^-1, through the reversed matrix. */
export function inverseFactor(h: Float32Array, n: number): Float32Array {
  const l = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    const rowI = i * n;
    for (let j = 0; j <= i; j++) {
      const rowJ = j * n;
      let sum = h[(n - 1 - i) * n + (n - 1 - j)]!;
      for (let k = 0; k < j; k++) sum -= l[rowI + k]! * l[rowJ + k]!;
      if (i === j) {
        if (!(sum > 0)) throw new Error(`not positive definite at ${i}`);
        l[rowI + i] = Math.sqrt(sum);
      } else l[rowI + j] = sum / l[rowJ + j]!;
    }
  }
  const inv = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    const rowI = i * n;
    for (let k = 0; k < i; k++) {
      const f = l[rowI + k]!;
      const rowK = k * n;
      for (let j = 0; j <= k; j++) inv[rowI + j]! -= f * inv[rowK + j]!;
    }
    const d = 1 / l[rowI + i]!;
    for (let j = 0; j < i; j++) inv[rowI + j]! *= d;
    inv[rowI + i] = d;
  }
  const u = new Float32Array(n * n);
  for (let i = 0; i < n; i++) for (let j = 0; j <= i; j++) u[(n - 1 - i) * n + (n - 1 - j)] = inv[i * n + j]!;
  return u;
}
