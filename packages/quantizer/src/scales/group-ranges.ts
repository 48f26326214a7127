import { type NumberFormat, rowLayout } from '@lbs/format';

/** What the weights of each group span, [rows, groups]. Zero belongs to every range, so that it can be a level. */
export interface GroupRanges {
  /** At most 0. */
  readonly lows: Float32Array;
  /** At least 0. */
  readonly highs: Float32Array;
}

/** The least and the greatest weight of each group, and zero. */
export function groupRanges(
  format: NumberFormat,
  {
    weights,
    rows,
    columns,
  }: { readonly weights: Float32Array; readonly rows: number; readonly columns: number },
): GroupRanges {
  const { groups } = rowLayout(format, columns);
  const lows = new Float32Array(rows * groups);
  const highs = new Float32Array(rows * groups);
  for (let group = 0; group < rows * groups; group++) {
    const first = (group % groups) * format.groupSize;
    const start = Math.floor(group / groups) * columns;
    const end = start + Math.min(first + format.groupSize, columns);
    let low = 0;
    let high = 0;
    for (let i = start + first; i < end; i++) {
      low = Math.min(low, weights[i]!);
      high = Math.max(high, weights[i]!);
    }
    lows[group] = low;
    highs[group] = high;
  }
  return { lows, highs };
}

/** The ranges cut at `share` of the largest magnitude of each, on both sides alike. */
export function clippedRanges({ lows, highs }: GroupRanges, share: number): GroupRanges {
  const limit = (i: number) => share * Math.max(-lows[i]!, highs[i]!);
  return {
    lows: lows.map((low, i) => Math.max(low, -limit(i))),
    highs: highs.map((high, i) => Math.min(high, limit(i))),
  };
}

/**
 * [rows, groups] the scales at which the levels just reach both ends of each range: with zero-points the levels' span is the range's; without, the
 * end that lies farther out decides.
 */
export function reachingScales(format: NumberFormat, { lows, highs }: GroupRanges): Float32Array {
  const { levels, centre } = format.levelTable;
  const least = levels[0]! - centre;
  const greatest = levels[levels.length - 1]! - centre;
  if (format.zeroPoint) return highs.map((high, i) => (high - lows[i]!) / (greatest - least));
  const reaching = (end: number, outermost: number) => (outermost === 0 ? 0 : end / outermost);
  return highs.map((high, i) => Math.max(reaching(high, greatest), reaching(lows[i]!, least)));
}
