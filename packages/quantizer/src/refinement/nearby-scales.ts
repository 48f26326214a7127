import { decodeScales, type QuantizedMatrix, readScaleCode, rowLayout, scaleEncodingOf } from '@lbs/format';
import type { ScaleCandidates } from '@lbs/kernels';

/** Scales that are tried on each side of the present one. */
const reach = 4;
/** How far a neighbouring scale moves the outermost weights, in steps between levels, where scales are stored as finely as that. */
const leastMove = 0.25;
const largestFloat32 = 3.4028234663852886e38;

/** Storable scales near those of a matrix. */
export interface NearbyScales extends ScaleCandidates {
  /** [rows, groups, count] their codes. */
  readonly codes: Uint32Array;
}

/**
 * The present scale of each group of a matrix, then storable ones on both sides of it. Bases stay as they are. A scale of 0 has no
 * neighbours, and where a side has fewer than others the present scale is repeated.
 */
export function nearbyScales(matrix: QuantizedMatrix): NearbyScales {
  const { format, rows, columns } = matrix;
  const { groups } = rowLayout(format, columns);
  const { bytes, base, decode } = scaleEncodingOf(format);
  const count = 2 * reach + 1;
  const present = decodeScales(matrix);
  const scales = new Float32Array(rows * groups * count);
  const codes = new Uint32Array(scales.length);
  const baseOf = (row: number) =>
    base ? base.encoding.decode(readScaleCode(matrix.scaleBases, base.encoding.bytes, row), 1) : 1;
  for (const [i, scale] of present.entries()) {
    const code = readScaleCode(matrix.scales, bytes, i);
    scales.fill(scale, i * count, (i + 1) * count);
    codes.fill(code, i * count, (i + 1) * count);
    if (!(scale > 0)) continue;
    const baseValue = baseOf(base?.span === 'row' ? Math.floor(i / groups) : 0);
    const scaleOf = (other: number) => (other < 0 || other >= 256 ** bytes ? 0 : decode(other, baseValue));
    const gap = Math.abs(scaleOf(code + 1) / scale - 1) || 1;
    const stride = Math.max(1, Math.round(leastMove / format.levelTable.levels.length / gap));
    const most = largestFloat32 / outermostLevel(matrix, i);
    for (let k = 1; k < count; k++) {
      const other = code + stride * (k <= reach ? k : reach - k);
      const value = scaleOf(other);
      if (!(value > 0 && value <= most)) continue;
      scales[i * count + k] = value;
      codes[i * count + k] = other;
    }
  }
  return { scales, codes, count };
}

/** The largest magnitude that a group's levels have. */
function outermostLevel({ format: { levelTable }, zeroPoints }: QuantizedMatrix, group: number): number {
  const { levels, centre } = levelTable;
  const offset = centre + (zeroPoints?.[group] ?? 0);
  return Math.max(Math.abs(levels[0]! - offset), Math.abs(levels[levels.length - 1]! - offset));
}
