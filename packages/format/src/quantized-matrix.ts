import { InvalidArgumentError } from './errors.js';
import { type NumberFormat, partSizes } from './number-format.js';

/**
 * The salient weights of a matrix in compressed-row form. Each adds `scales[row] * residual`, rounded to float32, to the
 * value of its dense code.
 */
export interface SalientWeights {
  /** [rows] number of salient weights in each row. */
  readonly counts: Uint32Array;
  /** [K] column of each, ascending in a row. */
  readonly columns: Uint32Array;
  /** [K] residual codes. */
  readonly residuals: Int8Array;
  /**
   * [rows] scale of the row's residuals (sigma), 0 where the row has none. Only what `chooseSalientScales` gives can be
   * stored.
   */
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
  /** Bases of the scales, [rows] or [1]; empty where the encoding has none. */
  readonly scaleBases: Uint8Array;
  /** [rows, groups] zero-points; present where the format has them. */
  readonly zeroPoints?: Uint8Array;
  readonly salient?: SalientWeights;
}

/** Throws InvalidArgumentError unless every part has the size that the format asks for. */
export function assertQuantizedMatrix(matrix: QuantizedMatrix): void {
  const { format, rows, columns } = matrix;
  const sizes = partSizes(format, rows, columns);
  for (const part of ['packed', 'shared', 'scales', 'scaleBases', 'zeroPoints'] as const) {
    const bytes = matrix[part]?.length ?? 0;
    if (bytes !== sizes[part]) {
      throw new InvalidArgumentError(
        `"${part}" of a ${rows} x ${columns} matrix in ${format.name} has ${bytes} bytes, not ${sizes[part]}`,
      );
    }
  }
}
