import type { NumberFormat } from '@lbs/format';
import type { RowEncoder, WeightGroup } from './row-encoder.js';

const largestFloat32 = 3.4028234663852886e38;
const largestZeroPoint = 255;
const noZeroPoint: readonly number[] = [0];

/** Finds the scale, and where the format has one the zero-point, with the least weighted squared error of a group. */
export class GroupSearch {
  /** 0 for a group without weights that count. */
  scale = 0;
  zeroPoint = 0;
  /** The scale at which the levels just reach the outermost weights that count. */
  readonly reaching: number;
  private error = Number.POSITIVE_INFINITY;
  private readonly zeroPointsAt: (scale: number) => readonly number[];

  constructor(
    format: NumberFormat,
    private readonly encoder: RowEncoder,
    private readonly group: WeightGroup,
  ) {
    if (!format.zeroPoint) {
      this.reaching = encoder.reachingScale(group);
      this.zeroPointsAt = () => noZeroPoint;
      return;
    }
    const { levels } = format.levelTable;
    const [least, greatest] = [levels[0]!, levels[levels.length - 1]!];
    const [low, high] = rangeAroundZero(group);
    this.reaching = greatest > least ? (high - low) / (greatest - least) : 0;
    // Where the scale does not reach both ends, it falls short of both by as much; then the neighbours of that.
    this.zeroPointsAt = (scale) => {
      const middle = Math.round((least + greatest) / 2 - (low + high) / (2 * scale));
      const inRange = (value: number) => Math.min(Math.max(value, 0), largestZeroPoint);
      return [...new Set([inRange(middle), inRange(middle - 1), inRange(middle + 1)])];
    };
    this.zeroPoint = this.reaching > 0 ? this.zeroPointsAt(this.reaching)[0]! : 0;
  }

  /** Whether `scale`, with its best zero-point, is better than those before it. */
  consider(scale: number): boolean {
    if (!(scale > 0)) return false;
    let isBetter = false;
    for (const zeroPoint of this.zeroPointsAt(scale)) {
      // A weight must not overflow when it is decoded.
      if (scale * this.encoder.outermost(zeroPoint) > largestFloat32) continue;
      const error = this.encoder.error(this.group, scale, this.error, zeroPoint);
      if (!(error < this.error)) continue;
      this.error = error;
      this.scale = scale;
      this.zeroPoint = zeroPoint;
      isBetter = true;
    }
    return isBetter;
  }

  /** The closed-form fit to the levels that the best scale so far chooses. */
  refitted(): number {
    return this.encoder.refittedScale(this.group, this.scale, this.zeroPoint);
  }
}

/** The least and the greatest weight that counts, and zero: a zero-point is a level's offset and not negative. */
function rangeAroundZero({ weights, importance, start, end }: WeightGroup): [number, number] {
  let low = 0;
  let high = 0;
  for (let i = start; i < end; i++) {
    if (importance[i] === 0) continue;
    low = Math.min(low, weights[i]!);
    high = Math.max(high, weights[i]!);
  }
  return [low, high];
}
