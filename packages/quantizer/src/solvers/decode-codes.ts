import { type NumberFormat, rowLayout } from '@lbs/format';
import type { ChosenCodes } from '@lbs/kernels';
import type { MatrixScales } from '../scales/scale-search.js';

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
  const weights = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let group = 0; group < groups; group++) {
      const scale = values[row * groups + group]!;
      const offset = format.zeroPoint ? zeroPoints[row * groups + group]! : centre;
      const end = Math.min((group + 1) * groupSize, columns);
      for (let column = group * groupSize; column < end; column++) {
        const i = row * columns + column;
        const low = sharedBits > 0 ? shared[row * blocks + Math.floor(column / sharingBlock)]! : 0;
        weights[i] = scale * (levels[(codes[i]! << sharedBits) | low]! - offset);
      }
    }
  }
  return weights;
}
