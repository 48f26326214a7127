import type { NumberFormat } from '@lbs/format';
import { buildNearestLevels } from './nearest-levels.js';

/** Codes of one row of weights, before they are packed. */
export interface RowCodes {
  /** [columns] private codes. */
  readonly codes: Uint8Array;
  /** [blocks] shared codes. */
  readonly sharedCodes: Uint8Array;
}

/** A group's weighted squared error at some scale, and the scale that fits its chosen levels best. */
export interface GroupFit {
  readonly error: number;
  readonly refittedScale: number;
}

/**
 * Rounds groups of weights to the levels of a number format. Where bits are shared, each sharing block tries
 * every row of the level table and keeps the one with the least weighted squared error, which
 * is optimal for a given scale.
 */
export interface RowEncoder {
  /** The error of a group of weights [start, end) at a scale. */
  fit(weights: Float32Array, importance: Float32Array, start: number, end: number, scale: number): GroupFit;
  /** Writes the group's codes at a scale. */
  encode(
    weights: Float32Array,
    importance: Float32Array,
    start: number,
    end: number,
    scale: number,
    into: RowCodes,
  ): void;
  /** The smallest scale at which no weight of [start, end) that counts lies beyond the outermost levels. */
  reachingScale(weights: Float32Array, importance: Float32Array, start: number, end: number): number;
}

export function createRowEncoder(format: NumberFormat): RowEncoder {
  const { rows, least, greatest, width, levels, codes } = buildNearestLevels(format);
  const block = format.sharedBits === 0 ? format.groupSize : format.sharingBlock;
  /** Weights of the current block in half scales, and their place in the tables. */
  const scaled = new Float64Array(block);
  const places = new Int32Array(block);

  const locate = (weights: Float32Array, start: number, end: number, scale: number): void => {
    const inverse = scale > 0 ? 2 / scale : 0;
    for (let i = start; i < end; i++) {
      const value = weights[i]! * inverse;
      scaled[i - start] = value;
      places[i - start] = Math.floor(Math.min(Math.max(value, least), greatest)) - least;
    }
  };

  const rowError = (
    row: number,
    importance: Float32Array,
    start: number,
    count: number,
    limit: number,
  ): number => {
    const base = row * width;
    let error = 0;
    for (let i = 0; i < count && error < limit; i++) {
      const difference = scaled[i]! - levels[base + places[i]!]!;
      error += importance[start + i]! * difference * difference;
    }
    return error;
  };

  /** The best row for the located block, and its error in squared half scales. */
  const bestRow = (importance: Float32Array, start: number, count: number): [number, number] => {
    let best = 0;
    let bestError = rowError(0, importance, start, count, Number.POSITIVE_INFINITY);
    for (let row = 1; row < rows; row++) {
      const error = rowError(row, importance, start, count, bestError);
      if (error < bestError) [best, bestError] = [row, error];
    }
    return [best, bestError];
  };

  return {
    reachingScale(weights, importance, start, end) {
      let reaching = 0;
      for (let i = start; i < end; i++) {
        if (importance[i]! > 0)
          reaching = Math.max(reaching, (2 * weights[i]!) / (weights[i]! > 0 ? greatest : least));
      }
      return reaching;
    },
    fit(weights, importance, start, end, scale) {
      let error = 0;
      let weightTimesLevel = 0;
      let levelSquared = 0;
      for (let from = start; from < end; from += block) {
        const to = Math.min(from + block, end);
        locate(weights, from, to, scale);
        const [row, blockError] = bestRow(importance, from, to - from);
        error += blockError;
        for (let i = from; i < to; i++) {
          const level = levels[row * width + places[i - from]!]!;
          weightTimesLevel += importance[i]! * weights[i]! * level;
          levelSquared += importance[i]! * level * level;
        }
      }
      return {
        error: error * (scale / 2) ** 2,
        refittedScale: levelSquared > 0 ? (2 * weightTimesLevel) / levelSquared : 0,
      };
    },
    encode(weights, importance, start, end, scale, into) {
      for (let from = start; from < end; from += block) {
        const to = Math.min(from + block, end);
        locate(weights, from, to, scale);
        const [row] = bestRow(importance, from, to - from);
        if (format.sharedBits > 0) into.sharedCodes[from / block] = row;
        for (let i = from; i < to; i++) into.codes[i] = codes[row * width + places[i - from]!]!;
      }
    },
  };
}
