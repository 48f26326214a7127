import { unpackCodes, unpackSharedCodes } from './bit-planes.js';
import { doubledLevels } from './level-table.js';
import { rowLayout } from './number-format.js';
import type { QuantizedMatrix } from './quantized-matrix.js';
import { readScaleCode, scaleEncodingOf } from './scale-encoding.js';

/** [rows, groups] group scales of a matrix as float32. */
export function decodeScales(matrix: QuantizedMatrix): Float32Array {
  const { groups } = rowLayout(matrix.format, matrix.columns);
  const encoding = scaleEncodingOf(matrix.format);
  const { bytes, base } = encoding;
  const decoded = new Float32Array(matrix.rows * groups);
  for (let row = 0; row < matrix.rows; row++) {
    const baseCode = base
      ? readScaleCode(matrix.scaleBases, base.encoding.bytes, base.span === 'row' ? row : 0)
      : 0;
    const baseValue = base ? base.encoding.decode(baseCode, 1) : 1;
    for (let i = row * groups; i < (row + 1) * groups; i++) {
      decoded[i] = encoding.decode(readScaleCode(matrix.scales, bytes, i), baseValue);
    }
  }
  return decoded;
}

/**
 * The weights [rows, columns] that a quantized matrix stands for, as float32: `scale * (level - centre - zeroPoint)`,
 * plus `sigma * residual`, rounded to float32, for a salient weight. The plain reference that kernels are held against.
 */
export function dequantize(matrix: QuantizedMatrix): Float32Array {
  const { format, rows, columns } = matrix;
  const row = rowLayout(format, columns);
  const levels = doubledLevels(format.levelTable);
  const scales = decodeScales(matrix);
  const codes = new Uint8Array(columns);
  const sharedCodes = new Uint8Array(row.blocks);
  const weights = new Float32Array(rows * columns);
  for (let r = 0; r < rows; r++) {
    unpackCodes(matrix.packed, format.privateBits, codes, r * row.packedBytes);
    unpackSharedCodes(matrix.shared, format.sharedBits, sharedCodes, r * row.sharedBytes);
    for (let i = 0; i < columns; i++) {
      const shared = format.sharedBits === 0 ? 0 : sharedCodes[Math.floor(i / format.sharingBlock)]!;
      const code = (codes[i]! << format.sharedBits) | shared;
      const group = r * row.groups + Math.floor(i / format.groupSize);
      const zeroPoint = matrix.zeroPoints?.[group] ?? 0;
      weights[r * columns + i] = 0.5 * scales[group]! * (levels[code]! - 2 * zeroPoint);
    }
  }
  addSalientWeights(matrix, weights);
  return weights;
}

function addSalientWeights({ salient, rows, columns }: QuantizedMatrix, weights: Float32Array): void {
  if (!salient) return;
  let next = 0;
  for (let r = 0; r < rows; r++) {
    for (const end = next + salient.counts[r]!; next < end; next++) {
      const value = Math.fround(salient.scales[r]! * salient.residuals[next]!);
      weights[r * columns + salient.columns[next]!]! += value;
    }
  }
}
