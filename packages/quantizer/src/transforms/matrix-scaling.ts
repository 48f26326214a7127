/**
 * Scales of a weight matrix that its neighbours take back: W' = diag(1 / rows) W diag(columns). Its inputs arrive divided by `columns`,
 * and what it gives is to be divided by `rows`. Without a field the side is not scaled.
 */
export interface MatrixScaling {
  /** [columns], positive. */
  readonly columns?: Float32Array | undefined;
  /** [rows], positive. */
  readonly rows?: Float32Array | undefined;
}

/** W' of the weights W [rows, columns]. */
export function scaleWeights(weights: Float32Array, columns: number, scaling: MatrixScaling): Float32Array {
  return weights.map((weight, i) => weight * factor(scaling, columns, i));
}

/** The weights W [rows, columns] of W'. */
export function unscaleWeights(scaled: Float32Array, columns: number, scaling: MatrixScaling): Float32Array {
  return scaled.map((weight, i) => weight / factor(scaling, columns, i));
}

function factor(scaling: MatrixScaling, columns: number, i: number): number {
  return (scaling.columns?.[i % columns] ?? 1) / (scaling.rows?.[Math.floor(i / columns)] ?? 1);
}
