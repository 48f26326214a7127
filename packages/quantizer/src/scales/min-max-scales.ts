import type { NumberFormat } from '@lbs/format';
import { type GroupRanges, reachingScales } from './group-ranges.js';
import { largestZeroPoint, type MatrixScales, nearestScales, type ScaleBases } from './matrix-scales.js';

/**
 * The storable scales nearest to those that reach the ranges' ends, and zero-points that put the least level on the low end, rounded, within the
 * levels.
 */
export function minMaxScales(format: NumberFormat, ranges: GroupRanges, bases: ScaleBases): MatrixScales {
  const stored = nearestScales(format, reachingScales(format, ranges), bases);
  const { levels } = format.levelTable;
  const [least, greatest] = [levels[0]!, levels[levels.length - 1]!];
  const most = Math.min(greatest, largestZeroPoint);
  const zeroPoint = (scale: number, low: number) =>
    scale > 0 ? Math.min(Math.max(Math.round(least - low / scale), 0), most) : 0;
  const zeroPoints = format.zeroPoint
    ? Uint8Array.from(stored.values, (scale, i) => zeroPoint(scale, ranges.lows[i]!))
    : new Uint8Array();
  return { ...stored, scaleBases: bases.scaleBases, zeroPoints };
}
