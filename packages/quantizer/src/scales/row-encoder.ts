import type { NumberFormat } from '@lbs/format';
import { buildNearestLevels } from './nearest-levels.js';

/** The weights [start, end) of a row, which have one scale, and how much the error of each counts. */
export interface WeightGroup {
  /** [columns] of the row. */
  readonly weights: Float32Array;
  /** [columns] */
  readonly importance: Float32Array;
  readonly start: number;
  readonly end: number;
}

/** Codes of one row of weights, before they are packed. */
export interface RowCodes {
  /** [columns] private codes. */
  readonly codes: Uint8Array;
  /** [blocks] shared codes. */
  readonly sharedCodes: Uint8Array;
}

/**
 * Rounds groups of weights to the levels of a number format. Where bits are shared, each sharing block tries every
 * row of the level table and keeps the one with the least weighted squared error, which is optimal for a given scale.
 */
export interface RowEncoder {
  /** The largest magnitude of `level - centre - zeroPoint`. */
  outermost(zeroPoint: number): number;
  /** The smallest scale at which no weight that counts lies beyond the outermost levels, without a zero-point. */
  reachingScale(group: WeightGroup): number;
  /** The weighted squared error at a scale, or some value of at least `limit` where it is not below that. */
  error(group: WeightGroup, scale: number, limit?: number, zeroPoint?: number): number;
  /** The scale with the least error for the levels that `scale` chooses. */
  refittedScale(group: WeightGroup, scale: number, zeroPoint?: number): number;
  /** Writes the codes at a scale. */
  encode(group: WeightGroup, scale: number, into: RowCodes, zeroPoint?: number): void;
}

/** The encoder of a format. It keeps working memory, so it serves one caller at a time. */
export function createRowEncoder(format: NumberFormat): RowEncoder {
  const { rows, least, greatest, width, levels, codes } = buildNearestLevels(format);
  const block = format.sharedBits === 0 ? format.groupSize : format.sharingBlock;
  /** Weights of the current block in half scales, and their place in the tables. */
  const scaled = new Float64Array(block);
  const places = new Int32Array(block);
  let bestRow = 0;

  /** Finds the best row for a block; returns its error in squared half scales. */
  function chooseRow(
    { weights, importance }: WeightGroup,
    from: number,
    to: number,
    scale: number,
    zeroPoint: number,
  ): number {
    const inverse = scale > 0 ? 2 / scale : 0;
    const offset = 2 * zeroPoint;
    const count = to - from;
    for (let i = 0; i < count; i++) {
      const value = weights[from + i]! * inverse + offset;
      scaled[i] = value;
      places[i] = (value <= least ? least : value >= greatest ? greatest : Math.floor(value)) - least;
    }
    let bestError = Number.POSITIVE_INFINITY;
    for (let row = 0; row < rows; row++) {
      let error = 0;
      for (let i = 0; i < count; i++) {
        const difference = scaled[i]! - levels[row * width + places[i]!]!;
        error += importance[from + i]! * difference * difference;
      }
      if (error < bestError) {
        bestError = error;
        bestRow = row;
      }
    }
    return bestError;
  }

  return {
    outermost(zeroPoint) {
      return Math.max(Math.abs(least / 2 - zeroPoint), Math.abs(greatest / 2 - zeroPoint));
    },
    reachingScale({ weights, importance, start, end }) {
      let reaching = 0;
      for (let i = start; i < end; i++) {
        const outermost = weights[i]! > 0 ? greatest : least;
        if (importance[i] === 0 || outermost === 0) continue;
        reaching = Math.max(reaching, (2 * weights[i]!) / outermost);
      }
      return reaching;
    },
    error(group, scale, limit = Number.POSITIVE_INFINITY, zeroPoint = 0) {
      const unit = (scale / 2) ** 2;
      let error = 0;
      for (let from = group.start; from < group.end && error < limit; from += block) {
        error += unit * chooseRow(group, from, Math.min(from + block, group.end), scale, zeroPoint);
      }
      return error;
    },
    refittedScale(group, scale, zeroPoint = 0) {
      const { weights, importance } = group;
      let weightTimesLevel = 0;
      let levelSquared = 0;
      for (let from = group.start; from < group.end; from += block) {
        const to = Math.min(from + block, group.end);
        chooseRow(group, from, to, scale, zeroPoint);
        for (let i = from; i < to; i++) {
          const level = levels[bestRow * width + places[i - from]!]! - 2 * zeroPoint;
          weightTimesLevel += importance[i]! * weights[i]! * level;
          levelSquared += importance[i]! * level * level;
        }
      }
      return levelSquared > 0 ? (2 * weightTimesLevel) / levelSquared : 0;
    },
    encode(group, scale, into, zeroPoint = 0) {
      for (let from = group.start; from < group.end; from += block) {
        const to = Math.min(from + block, group.end);
        chooseRow(group, from, to, scale, zeroPoint);
        if (format.sharedBits > 0) into.sharedCodes[from / block] = bestRow;
        for (let i = from; i < to; i++) into.codes[i] = codes[bestRow * width + places[i - from]!]!;
      }
    },
  };
}
