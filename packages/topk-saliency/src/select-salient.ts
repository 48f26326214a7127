import { type Granularity, type MatrixParts, partsOf } from './granularity.js';
import { kthLargest } from './kth-largest.js';
import { assertMatrixShape } from './matrix-shape.js';
import { type SalientAmount, salientCount } from './salient-amount.js';
import { assertScores, bitsOf, signless } from './score-bits.js';
import { selectTopK } from './top-k.js';

/** What to select from the scores of one matrix. */
export interface SalientSelection {
  readonly rows: number;
  readonly columns: number;
  /**
   * A count is taken from each part, or all of a part that has less. A fraction, or what bits buy, is of the whole
   * matrix and spread over the parts by their sizes: the sum is exact, and parts of one size differ by at most one.
   */
  readonly amount: SalientAmount;
  /** Default: `tensor`. */
  readonly per?: Granularity;
}

/**
 * Ascending indices of the salient weights of a matrix [rows, columns]: of each part those with the greatest scores,
 * among equal ones those with the lower index. O(n). Throws InvalidArgumentError where a score is negative, infinite or
 * NaN, their number is not rows * columns, a part's size is not a positive whole number or the amount is more than
 * there is.
 */
export function selectSalient(scores: Float32Array, selection: SalientSelection): Uint32Array {
  const { rows, columns, amount, per = 'tensor' } = selection;
  assertMatrixShape('scores', scores.length, selection);
  if (per === 'tensor') return selectTopK(scores, salientCount(amount, scores.length));
  const parts = partsOf(per, rows, columns);
  assertScores(scores);
  return selectFromParts(
    bitsOf(scores),
    columns,
    parts,
    countsOfParts(amount, scores.length, columns, parts),
  );
}

/** How many salient weights each part gets; parts are in the order of rows, then of columns. */
function countsOfParts(
  amount: SalientAmount,
  weights: number,
  columns: number,
  { height, width }: MatrixParts,
): Uint32Array {
  const across = Math.ceil(columns / width);
  const counts = new Uint32Array((across * weights) / (columns * height));
  const sizeOf = (part: number) => height * Math.min(width, columns - (part % across) * width);
  if ('count' in amount) {
    const count = salientCount(amount, height * width);
    return counts.map((_, part) => Math.min(count, sizeOf(part)));
  }
  const salient = salientCount(amount, weights);
  let remainder = 0;
  return counts.map((_, part) => {
    const due = remainder + salient * sizeOf(part);
    remainder = due % weights;
    return (due - remainder) / weights;
  });
}

/** Goes from one band of parts to the next: finds the threshold of each part, then selects along the rows. */
function selectFromParts(
  bits: Uint32Array,
  columns: number,
  { height, width }: MatrixParts,
  counts: Uint32Array,
): Uint32Array {
  const selected = new Uint32Array(counts.reduce((sum, count) => sum + count, 0));
  const copy = new Uint32Array(height * width);
  let next = 0;
  let part = 0;
  for (let first = 0; first < bits.length; first += height * columns) {
    const band = bits.subarray(first, first + height * columns);
    const thresholds: { least: number; ties: number }[] = [];
    for (let left = 0; left < columns; left += width) {
      const count = counts[part++]!;
      thresholds.push(
        count === 0
          ? { least: signless, ties: 0 }
          : kthLargest(copyColumns(band, columns, left, Math.min(left + width, columns), copy), count),
      );
    }
    for (let row = 0; row < band.length; row += columns) {
      thresholds.forEach((threshold, i) => {
        const end = row + Math.min((i + 1) * width, columns);
        for (let j = row + i * width; j < end; j++) {
          const score = band[j]! & signless;
          if (score < threshold.least) continue;
          if (score === threshold.least && threshold.ties-- <= 0) continue;
          selected[next++] = first + j;
        }
      });
    }
  }
  return selected;
}

/**
 * Copies scores of columns `left` to `right` of all rows, without their sign, to the start of `copy`, and returns that.
 */
function copyColumns(
  band: Uint32Array,
  columns: number,
  left: number,
  right: number,
  copy: Uint32Array,
): Uint32Array {
  let length = 0;
  for (let row = 0; row < band.length; row += columns) {
    for (let j = row + left; j < row + right; j++) copy[length++] = band[j]! & signless;
  }
  return copy.subarray(0, length);
}
