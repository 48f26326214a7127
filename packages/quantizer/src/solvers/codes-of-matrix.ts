import {
  decodeScales,
  packCodes,
  packSharedCodes,
  type QuantizedMatrix,
  rowLayout,
  unpackCodes,
  unpackSharedCodes,
} from '@lbs/format';
import type { CodeAssignment } from '@lbs/kernels';

/** Codes [rows, columns] and shared codes [rows, blocks] of a matrix, a byte each. */
export interface MatrixCodes {
  readonly codes: Uint8Array;
  /** Empty where no bits are shared. */
  readonly shared: Uint8Array;
}

/** Packs the codes of a matrix as they are stored. */
export function packMatrixCodes(
  { codes, shared }: MatrixCodes,
  { format, rows, columns }: Pick<QuantizedMatrix, 'format' | 'rows' | 'columns'>,
): Pick<QuantizedMatrix, 'packed' | 'shared'> {
  const layout = rowLayout(format, columns);
  const packed = new Uint8Array(rows * layout.packedBytes);
  const packedShared = new Uint8Array(rows * layout.sharedBytes);
  for (let r = 0; r < rows; r++) {
    const rowCodes = codes.subarray(r * columns, (r + 1) * columns);
    const rowShared = shared.subarray(r * layout.blocks, (r + 1) * layout.blocks);
    packCodes(rowCodes, format.privateBits, packed, r * layout.packedBytes);
    packSharedCodes(rowShared, format.sharedBits, packedShared, r * layout.sharedBytes);
  }
  return { packed, shared: packedShared };
}

/** What a matrix stores, as the kernels take it: the reverse of packing. */
export function assignmentOf(matrix: QuantizedMatrix): CodeAssignment {
  const { format, rows, columns, zeroPoints, salient } = matrix;
  const layout = rowLayout(format, columns);
  const codes = new Uint8Array(rows * columns);
  const shared = new Uint8Array(rows * layout.blocks);
  for (let r = 0; r < rows; r++) {
    const rowCodes = codes.subarray(r * columns, (r + 1) * columns);
    const rowShared = shared.subarray(r * layout.blocks, (r + 1) * layout.blocks);
    unpackCodes(matrix.packed, format.privateBits, rowCodes, r * layout.packedBytes);
    unpackSharedCodes(matrix.shared, format.sharedBits, rowShared, r * layout.sharedBytes);
  }
  const scales = decodeScales(matrix);
  if (!salient) return { codes, shared, scales, zeroPoints };
  const indices = new Uint32Array(salient.columns.length);
  let next = 0;
  for (const [row, count] of salient.counts.entries()) {
    for (const end = next + count; next < end; next++) {
      indices[next] = row * columns + salient.columns[next]!;
    }
  }
  const { residuals } = salient;
  return { codes, shared, scales, zeroPoints, salient: { indices, scales: salient.scales, residuals } };
}
