import {
  chooseSalientScales,
  largestResidual,
  packCodes,
  packSharedCodes,
  type QuantizedMatrix,
  rowLayout,
  type SalientWeights,
} from '@lbs/format';
import { createRowEncoder, type RowCodes } from './row-encoder.js';
import { searchScales } from './scale-search.js';
import type { Solver, SolverInput } from './solver.js';

/**
 * Round-to-nearest with scale search and the joint choice of shared bits. Salient weights do not count in the
 * scale fit nor in the choice of their block's shared bits; they get the difference to their dense code as a
 * residual.
 */
export const roundToNearest: Solver = { name: 'rtn', solve: solveByRounding };

function solveByRounding({ weights, rows, columns, format, salient }: SolverInput): QuantizedMatrix {
  const layout = rowLayout(format, columns);
  const encoder = createRowEncoder(format);
  const importance = new Float32Array(columns);
  const salientStarts = salient && rowStarts(salient, rows, columns);
  const salientOf = (r: number) => salient?.subarray(salientStarts![r]!, salientStarts![r + 1]!);
  const rowOf = (r: number) => {
    importance.fill(1);
    for (const index of salientOf(r) ?? []) importance[index - r * columns] = 0;
    return { weights: weights.subarray(r * columns, (r + 1) * columns), importance };
  };
  const { values, zeroPoints, ...scaleParts } = searchScales(format, encoder, { rows, columns, row: rowOf });
  const matrix = {
    format,
    rows,
    columns,
    packed: new Uint8Array(rows * layout.packedBytes),
    shared: new Uint8Array(rows * layout.sharedBytes),
    ...scaleParts,
    ...(format.zeroPoint && { zeroPoints }),
  };
  const row: RowCodes = { codes: new Uint8Array(columns), sharedCodes: new Uint8Array(layout.blocks) };
  const residuals = salient && new ResidualBuilder(rows, salient.length);
  const { levels, centre } = format.levelTable;
  for (let r = 0; r < rows; r++) {
    const groupOf = (column: number) => r * layout.groups + Math.floor(column / format.groupSize);
    const rowWeights = rowOf(r);
    for (let start = 0; start < columns; start += format.groupSize) {
      const end = Math.min(start + format.groupSize, columns);
      const i = groupOf(start);
      encoder.encode({ ...rowWeights, start, end }, values[i]!, row, zeroPoints[i]);
    }
    packCodes(row.codes, format.privateBits, matrix.packed, r * layout.packedBytes);
    packSharedCodes(row.sharedCodes, format.sharedBits, matrix.shared, r * layout.sharedBytes);
    const dense = (column: number) => {
      const shared = format.sharedBits === 0 ? 0 : row.sharedCodes[Math.floor(column / format.sharingBlock)]!;
      const code = row.codes[column]! * 2 ** format.sharedBits + shared;
      const i = groupOf(column);
      return values[i]! * (levels[code]! - centre - (zeroPoints[i] ?? 0));
    };
    residuals?.addRow(
      r,
      salientOf(r)!.map((index) => index - r * columns),
      (column) => rowWeights.weights[column]! - dense(column),
    );
  }
  return residuals ? { ...matrix, salient: residuals.build() } : matrix;
}

/** [rows + 1] Where the salient weights of each row begin in the ascending indices of the matrix. */
function rowStarts(salient: Uint32Array, rows: number, columns: number): Uint32Array {
  const starts = new Uint32Array(rows + 1);
  for (const index of salient) starts[Math.floor(index / columns) + 1]!++;
  for (let r = 0; r < rows; r++) starts[r + 1]! += starts[r]!;
  return starts;
}

/** Collects what salient weights differ from their dense codes by, row by row; their scales follow from all rows together. */
class ResidualBuilder {
  private readonly counts: Uint32Array;
  private readonly columns: Uint32Array;
  private readonly differences: Float64Array;
  /** [rows] greatest magnitude of a difference. */
  private readonly largest: Float64Array;
  private next = 0;

  constructor(rows: number, total: number) {
    this.counts = new Uint32Array(rows);
    this.columns = new Uint32Array(total);
    this.differences = new Float64Array(total);
    this.largest = new Float64Array(rows);
  }

  addRow(row: number, columns: Uint32Array, difference: (column: number) => number): void {
    this.counts[row] = columns.length;
    this.columns.set(columns, this.next);
    for (const column of columns) {
      const value = difference(column);
      this.differences[this.next++] = value;
      this.largest[row] = Math.max(this.largest[row]!, Math.abs(value));
    }
  }

  /** The salient weights of all rows, with int8 residuals. */
  build(): SalientWeights {
    const scales = chooseSalientScales(this.largest);
    const residuals = new Int8Array(this.differences.length);
    let i = 0;
    this.counts.forEach((count, row) => {
      const scale = scales[row]!;
      for (const end = i + count; i < end; i++) {
        const code = scale > 0 ? Math.round(this.differences[i]! / scale) : 0;
        residuals[i] = Math.min(Math.max(code, -largestResidual), largestResidual);
      }
    });
    return { counts: this.counts, columns: this.columns, residuals, scales };
  }
}
