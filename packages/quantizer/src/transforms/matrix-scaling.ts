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
  return multiplied(weights, columns, scaling.columns, scaling.rows?.map(reciprocal));
}

/** The weights W [rows, columns] of W'. */
export function unscaleWeights(scaled: Float32Array, columns: number, scaling: MatrixScaling): Float32Array {
  return multiplied(scaled, columns, scaling.columns?.map(reciprocal), scaling.rows);
}

function multiplied(
  weights: Float32Array,
  columns: number,
  columnFactors: Float32Array = new Float32Array(columns).fill(1),
  rowFactors: Float32Array = new Float32Array(weights.length / columns).fill(1),
): Float32Array {
  const products = new Float32Array(weights.length);
  for (let row = 0, i = 0; row < rowFactors.length; row++) {
    const factor = rowFactors[row]!;
    for (let j = 0; j < columns; j++, i++) products[i] = weights[i]! * factor * columnFactors[j]!;
  }
  return products;
}

function reciprocal(scale: number): number {
  return 1 / scale;
}
