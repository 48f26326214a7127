/** Rows of a strip: a lane each of four vectors. */
export const stripRows = 16;

/** Strips that hold `rows` rows. */
export function stripCount(rows: number): number {
  return Math.ceil(rows / stripRows);
}

/** Columns of a strip that are written together: they stay in the first-level cache while one row after the other fills its lane. */
const columnBlock = 256;

/** Where the values of a matrix are in its strips. */
interface StripLayout {
  readonly rows: number;
  /** [columns] place `k` of a strip holds column `order[k]`. */
  readonly order: Uint32Array;
}

/** Writes values [rows, columns] times `factor` as strips [strips, columns, 16]. Rows behind the last are 0. */
export function writeStrips<Values extends Float32Array | Uint8Array>(
  target: Values,
  values: Values,
  { rows, order, factor = 1 }: StripLayout & { readonly factor?: number },
): void {
  const columns = order.length;
  if (rows % stripRows > 0) target.fill(0, (rows - (rows % stripRows)) * columns);
  forEachSegment(rows, columns, (source, place, from, to) => {
    for (let k = from; k < to; k++) target[place + k * stripRows] = values[source + order[k]!]! * factor;
  });
}

/** Reverses `writeStrips`, without a factor. */
export function readStrips<Values extends Float32Array | Uint8Array>(
  values: Values,
  strips: Values,
  { rows, order }: StripLayout,
): Values {
  forEachSegment(rows, order.length, (target, place, from, to) => {
    for (let k = from; k < to; k++) values[target + order[k]!] = strips[place + k * stripRows]!;
  });
  return values;
}

/** Visits places `from` to `to` of a row, which begins at `start` of the matrix and at `place` of the strips. */
function forEachSegment(
  rows: number,
  columns: number,
  visit: (start: number, place: number, from: number, to: number) => void,
): void {
  for (let first = 0; first < rows; first += stripRows) {
    const end = Math.min(first + stripRows, rows);
    for (let from = 0; from < columns; from += columnBlock) {
      const to = Math.min(from + columnBlock, columns);
      for (let row = first; row < end; row++) visit(row * columns, first * columns + row - first, from, to);
    }
  }
}

/** 0, 1, 2 and so on. */
export function naturalOrder(count: number): Uint32Array {
  const order = new Uint32Array(count);
  for (let i = 0; i < count; i++) order[i] = i;
  return order;
}
