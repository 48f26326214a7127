import { InvalidArgumentError } from './errors.js';
import { type NumberFormat, rowLayout } from './number-format.js';

/**
 * The salient weights of a matrix in compressed-row form. Each adds `scales[row] * residual` to the value of
 * its dense code.
 */
export interface SalientWeights {
  /** [rows] number of salient weights in each row. */
  readonly counts: Uint32Array;
  /** [K] column of each, ascending in a row. */
  readonly columns: Uint32Array;
  /** [K] residual codes. */
  readonly residuals: Int8Array;
  /** [rows] scale of the row's residuals (sigma), a binary16 value; 0 where the row has none. */
  readonly scales: Float32Array;
}

/** A weight matrix [rows, columns] as it is stored: one row per output feature. */
export interface QuantizedMatrix {
  readonly format: NumberFormat;
  readonly rows: number;
  readonly columns: number;
  /** [rows, packedBytes] private codes in bit planes (SPEC 4). */
  readonly packed: Uint8Array;
  /** [rows, sharedBytes] shared codes (SPEC 5); empty where the format shares no bits. */
  readonly shared: Uint8Array;
  /** [rows, scaleBytes] group scales as encoded (SPEC 6). */
  readonly scales: Uint8Array;
  /** [rows, scaleBaseBytes] row bases of the scales; empty where the encoding has none. */
  readonly scaleBases: Uint8Array;
  readonly salient?: SalientWeights;
}

/** Throws InvalidArgumentError unless every part has the size that the format asks for. */
export function assertQuantizedMatrix(matrix: QuantizedMatrix): void {
  const row = rowLayout(matrix.format, matrix.columns);
  const sizes = [
    ['packed', row.packedBytes],
    ['shared', row.sharedBytes],
    ['scales', row.scaleBytes],
    ['scaleBases', row.scaleBaseBytes],
  ] as const;
  for (const [part, bytesPerRow] of sizes) {
    if (matrix[part].length !== matrix.rows * bytesPerRow) {
      throw new InvalidArgumentError(
        `"${part}" of a ${matrix.rows} x ${matrix.columns} matrix in ${matrix.format.name} has ${matrix[part].length} bytes, not ${matrix.rows * bytesPerRow}`,
      );
    }
  }
}
