import { type NumberFormat, rowLayout } from '@lbs/format';
import type { ChosenCodes } from '@lbs/kernels';
import type { MatrixScales } from '../scales/matrix-scales.js';

/** [rows, columns] the weights that codes stand for before they are packed, salient weights left out. */
export function decodeCodes(
  {
    rows,
    columns,
    format,
  }: { readonly rows: number; readonly columns: number; readonly format: NumberFormat },
  { values, zeroPoints }: MatrixScales,
  { codes, shared }: ChosenCodes,
): Float32Array {
  const { groupSize, sharedBits, sharingBlock, levelTable } = format;
  const { levels, centre } = levelTable;
  const { groups, blocks } = rowLayout(format, columns);
  const blockSize = sharedBits > 0 ? sharingBlock : groupSize;
  const weights = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    const start = row * columns;
    for (let from = 0; from < columns; from += blockSize) {
      const to = Math.min(from + blockSize, columns);
      const group = row * groups + Math.floor(from / groupSize);
      const scale = values[group]!;
      const offset = format.zeroPoint ? zeroPoints[group]! : centre;
      const low = sharedBits > 0 ? shared[row * blocks + from / blockSize]! : 0;
      for (let i = start + from; i < start + to; i++) {
        weights[i] = scale * (levels[(codes[i]! << sharedBits) | low]! - offset);
      }
    }
  }
  return weights;
}
