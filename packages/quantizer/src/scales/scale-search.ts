import {
  type NumberFormat,
  partSizes,
  readScaleCode,
  rowLayout,
  type ScaleEncoding,
  scaleEncodingOf,
  writeScaleCode,
} from '@lbs/format';
import { GroupSearch } from './group-search.js';
import type { RowEncoder, WeightGroup } from './row-encoder.js';

/** Steps of the coarse search, in octaves below the scale that just reaches the largest weight. */
const coarseSteps = Array.from({ length: 10 }, (_, i) => 2 ** (-(i - 1) / 8));
/** Steps around the coarse optimum. */
const fineSteps = [-3, -2, -1, 1, 2, 3].map((i) => 2 ** (i / 32));
/** Codes relative to a base that are tried on both sides of the ideal scale. */
const nearbyCodes = 2;

/** The rows that scales are chosen for. */
export interface WeightRows {
  readonly rows: number;
  readonly columns: number;
  /** Weights and importances of a row, valid until the next call. */
  row(index: number): Pick<WeightGroup, 'weights' | 'importance'>;
}

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

/**
 * Chooses the scale of each group of a matrix, among the values that can be stored, by the least weighted squared
 * error: a logarithmic grid below the largest weight, a finer one around its best point, and the closed-form
 * fit to the levels chosen there. Where scales are relative to a base, the base is chosen by good scales of any value
 * first, then the best codes near them. Zero-points start from the least and greatest weight and are chosen with the scale.
 */
export function searchScales(format: NumberFormat, encoder: RowEncoder, matrix: WeightRows): MatrixScales {
  const { rows, columns } = matrix;
  const { groups } = rowLayout(format, columns);
  const sizes = partSizes(format, rows, columns);
  const encoding = scaleEncodingOf(format);
  const { base } = encoding;
  const found = {
    values: new Float32Array(rows * groups),
    scales: new Uint8Array(sizes.scales),
    scaleBases: new Uint8Array(sizes.scaleBases),
    zeroPoints: new Uint8Array(sizes.zeroPoints),
  };
  const forEachGroup = (from: number, to: number, visit: (search: GroupSearch, i: number) => void) => {
    for (let r = from; r < to; r++) {
      const row = matrix.row(r);
      for (let i = 0; i < groups; i++) {
        const start = i * format.groupSize;
        const end = Math.min(start + format.groupSize, columns);
        visit(new GroupSearch(format, encoder, { ...row, start, end }), r * groups + i);
      }
    }
  };
  const store = (i: number, code: number, baseValue: number, zeroPoint: number) => {
    writeScaleCode(found.scales, encoding.bytes, i, code);
    found.values[i] = encoding.decode(code, baseValue);
    if (format.zeroPoint) found.zeroPoints[i] = zeroPoint;
  };
  if (!base) {
    forEachGroup(0, rows, (search, i) => store(i, searchFreely(encoding, search), 1, search.zeroPoint));
    return found;
  }
  const ideal = new Float64Array(rows * groups);
  const span = base.span === 'row' ? 1 : rows;
  for (let from = 0; from < rows; from += span) {
    let largest = 0;
    forEachGroup(from, from + span, (search, i) => {
      searchCoarsely(search, (scale) => scale);
      ideal[i] = search.scale;
      largest = Math.max(largest, search.scale);
    });
    writeScaleCode(found.scaleBases, base.encoding.bytes, from / span, base.choose(largest));
    const baseValue = base.encoding.decode(
      readScaleCode(found.scaleBases, base.encoding.bytes, from / span),
      1,
    );
    forEachGroup(from, from + span, (search, i) => {
      store(i, searchNearby(encoding, search, baseValue, ideal[i]!), baseValue, search.zeroPoint);
    });
  }
  return found;
}

/** The code of the best scale, for an encoding without a base. */
function searchFreely(encoding: ScaleEncoding, search: GroupSearch): number {
  const storable = (scale: number) => encoding.decode(encoding.nearest(scale, 1), 1);
  searchCoarsely(search, storable);
  const coarse = search.scale;
  for (const step of fineSteps) search.consider(storable(coarse * step));
  search.consider(storable(search.refitted()));
  return encoding.nearest(search.scale, 1);
}

/** The best of the codes around an ideal scale. */
function searchNearby(encoding: ScaleEncoding, search: GroupSearch, base: number, ideal: number): number {
  const nearest = encoding.nearest(ideal, base);
  if (ideal === 0) return nearest;
  let best = nearest;
  for (let code = Math.max(nearest - nearbyCodes, 0); code <= nearest + nearbyCodes; code++) {
    // Codes past the last one stand for 0 or for no number, and are not better than anything.
    if (search.consider(encoding.decode(code, base))) best = code;
  }
  return best;
}

/** Considers the coarse grid and the closed-form fit to the levels of its best point. */
function searchCoarsely(search: GroupSearch, storable: (scale: number) => number): void {
  for (const step of coarseSteps) search.consider(storable(search.reaching * step));
  search.consider(storable(search.refitted()));
}
