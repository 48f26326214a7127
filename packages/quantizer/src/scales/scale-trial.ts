import type { NumberFormat } from '@lbs/format';
import type { CodeSearch } from '@lbs/kernels';
import type { GroupRanges } from './group-ranges.js';
import { largestZeroPoint } from './matrix-scales.js';

const largestFloat32 = 3.4028234663852886e38;

/** Keeps for each group the best of the scales that were tried, with its best zero-point. */
export class ScaleTrial {
  /** [rows, groups]; empty where the format has none. */
  readonly zeroPoints: Uint8Array;
  private readonly least: Float64Array;

  constructor(
    private readonly format: NumberFormat,
    private readonly search: CodeSearch,
    private readonly ranges: GroupRanges,
    /** [rows, groups] first guesses. A group whose guess is 0 keeps it: its weights are 0. */
    readonly best: Float32Array,
  ) {
    this.least = Float64Array.from(best, (scale) => (scale > 0 ? Number.POSITIVE_INFINITY : 0));
    this.zeroPoints = format.zeroPoint ? middleZeroPoints(format, best, ranges) : new Uint8Array();
  }

  /** Tries scales [rows, groups]; returns the groups for which they are better than all before. */
  consider(scales: Float32Array): number[] {
    const { format, ranges } = this;
    const finite = scales.map((scale) => (Number.isFinite(scale) && scale > 0 ? scale : 0));
    if (!format.zeroPoint) return this.tryOne(finite);
    const middle = middleZeroPoints(format, finite, ranges);
    const better = [0, -1, 1].flatMap((step) =>
      this.tryOne(
        finite,
        middle.map((zeroPoint) => Math.min(Math.max(zeroPoint + step, 0), largestZeroPoint)),
      ),
    );
    return [...new Set(better)];
  }

  private tryOne(scales: Float32Array, zeroPoints?: Uint8Array): number[] {
    const { levels, centre } = this.format.levelTable;
    const errors = this.search.errors({ scales, zeroPoints });
    const better: number[] = [];
    for (const [i, error] of errors.entries()) {
      const scale = scales[i]!;
      if (!(error < this.least[i]!) || scale === 0) continue;
      const zeroPoint = zeroPoints?.[i] ?? 0;
      const outermost = Math.max(
        Math.abs(levels[0]! - centre - zeroPoint),
        Math.abs(levels[levels.length - 1]! - centre - zeroPoint),
      );
      // A weight must not overflow when it is decoded.
      if (scale * outermost > largestFloat32) continue;
      this.least[i] = error;
      this.best[i] = scale;
      if (zeroPoints) this.zeroPoints[i] = zeroPoint;
      better.push(i);
    }
    return better;
  }
}

/** [rows, groups] the zero-points at which levels of these scales reach as far beyond one end of each range as beyond the other. */
function middleZeroPoints(
  { levelTable: { levels } }: NumberFormat,
  scales: Float32Array,
  { lows, highs }: GroupRanges,
): Uint8Array {
  const middle = (levels[0]! + levels[levels.length - 1]!) / 2;
  return Uint8Array.from(scales, (scale, i) => {
    const zeroPoint = scale > 0 ? Math.round(middle - (lows[i]! + highs[i]!) / (2 * scale)) : 0;
    return Math.min(Math.max(zeroPoint, 0), largestZeroPoint);
  });
}
