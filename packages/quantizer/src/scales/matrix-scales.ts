import {
  type NumberFormat,
  partSizes,
  readScaleCode,
  rowLayout,
  scaleEncodingOf,
  writeScaleCode,
} from '@lbs/format';

/** What a zero-point, a byte, can be at most. */
export const largestZeroPoint = 255;

/** The scales of a matrix as stored and as the numbers that they stand for, and its zero-points. */
export interface MatrixScales {
  /** [rows, groups] float32. */
  readonly values: Float32Array;
  /** [rows, groups] as encoded. */
  readonly scales: Uint8Array;
  /** Bases as encoded; empty where the encoding has none. */
  readonly scaleBases: Uint8Array;
  /** [rows, groups]; empty where the format has none. */
  readonly zeroPoints: Uint8Array;
}

/** The bases that the scales of a matrix are stored against. */
export interface ScaleBases {
  /** As encoded; empty where the encoding has none. */
  readonly scaleBases: Uint8Array;
  /** [rows, groups] the base of each scale; 1 where the encoding has none. */
  readonly baseOf: Float64Array;
}

/** Chooses the bases for scales [rows, groups] by the largest scale of each base's span. */
export function chooseScaleBases(
  format: NumberFormat,
  scales: Float32Array,
  { rows, columns }: { readonly rows: number; readonly columns: number },
): ScaleBases {
  const { base } = scaleEncodingOf(format);
  const scaleBases = new Uint8Array(partSizes(format, rows, columns).scaleBases);
  const baseOf = new Float64Array(scales.length).fill(1);
  if (!base) return { scaleBases, baseOf };
  const span = (base.span === 'row' ? 1 : rows) * rowLayout(format, columns).groups;
  for (let from = 0; from < scales.length; from += span) {
    const largest = scales.subarray(from, from + span).reduce((a, b) => Math.max(a, b), 0);
    writeScaleCode(scaleBases, base.encoding.bytes, from / span, base.choose(largest));
    const code = readScaleCode(scaleBases, base.encoding.bytes, from / span);
    baseOf.fill(base.encoding.decode(code, 1), from, from + span);
  }
  return { scaleBases, baseOf };
}

/** The storable scales nearest to ideal ones [rows, groups]: as encoded, and the numbers that they stand for. */
export function nearestScales(
  format: NumberFormat,
  ideal: Float32Array,
  { baseOf }: ScaleBases,
): Pick<MatrixScales, 'values' | 'scales'> {
  const encoding = scaleEncodingOf(format);
  const scales = new Uint8Array(encoding.bytes * ideal.length);
  const values = new Float32Array(ideal.length);
  for (const [i, scale] of ideal.entries()) {
    const code = encoding.nearest(scale, baseOf[i]!);
    writeScaleCode(scales, encoding.bytes, i, code);
    values[i] = encoding.decode(code, baseOf[i]!);
  }
  return { values, scales };
}
