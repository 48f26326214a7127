/** Rows of a strip: a lane each of four vectors. */
export const stripRows = 16;

/** Strips that hold `rows` rows. */
export function stripCount(rows: number): number {
  return Math.ceil(rows / stripRows);
}

/**
 * Writes values [rows, columns] as strips [strips, columns, 16]; place `k` of a strip holds column `order[k]`. Rows behind the last are 0.
 */
export function writeStrips<Values extends Float32Array | Uint8Array>(
  target: Values,
  values: Values,
  { rows, order }: { readonly rows: number; readonly order: Uint32Array },
): void {
  const columns = order.length;
  for (let first = 0; first < rows; first += stripRows) {
    const start = first * columns;
    for (let k = 0; k < columns; k++) {
      for (let lane = 0; lane < stripRows; lane++) {
        const row = first + lane;
        target[start + k * stripRows + lane] = row < rows ? values[row * columns + order[k]!]! : 0;
      }
    }
  }
}

/** Reverses `writeStrips`. */
export function readStrips<Values extends Float32Array | Uint8Array>(
  values: Values,
  strips: Values,
  { rows, order }: { readonly rows: number; readonly order: Uint32Array },
): Values {
  const columns = order.length;
  for (let row = 0; row < rows; row++) {
    const start = (row - (row % stripRows)) * columns + (row % stripRows);
    for (let k = 0; k < columns; k++) values[row * columns + order[k]!] = strips[start + k * stripRows]!;
  }
  return values;
}

/** 0, 1, 2 and so on. */
export function naturalOrder(count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => i);
}
