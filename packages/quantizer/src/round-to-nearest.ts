import {
  float16NotBelow,
  numberFromFloat16,
  packCodes,
  packSharedCodes,
  type QuantizedMatrix,
  rowLayout,
  type SalientWeights,
} from '@lbs/format';
import { createRowEncoder, type RowCodes } from './row-encoder.js';
import { searchRowScales } from './scale-search.js';
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
  const matrix = {
    format,
    rows,
    columns,
    packed: new Uint8Array(rows * layout.packedBytes),
    shared: new Uint8Array(rows * layout.sharedBytes),
    scales: new Uint8Array(rows * layout.scaleBytes),
    scaleBases: new Uint8Array(rows * layout.scaleBaseBytes),
  };
  const row: RowCodes = { codes: new Uint8Array(columns), sharedCodes: new Uint8Array(layout.blocks) };
  const importance = new Float32Array(columns);
  const residuals = salient && new ResidualBuilder(rows, salient.length);
  let nextSalient = 0;
  for (let r = 0; r < rows; r++) {
    const rowWeights = weights.subarray(r * columns, (r + 1) * columns);
    importance.fill(1);
    const firstSalient = nextSalient;
    while (salient && nextSalient < salient.length && salient[nextSalient]! < (r + 1) * columns) {
      importance[salient[nextSalient++]! - r * columns] = 0;
    }
    const scales = searchRowScales(format, encoder, rowWeights, importance);
    for (let group = 0; group < layout.groups; group++) {
      const start = group * format.groupSize;
      const end = Math.min(start + format.groupSize, columns);
      encoder.encode({ weights: rowWeights, importance, start, end }, scales.values[group]!, row);
    }
    packCodes(row.codes, format.privateBits, matrix.packed, r * layout.packedBytes);
    packSharedCodes(row.sharedCodes, format.sharedBits, matrix.shared, r * layout.sharedBytes);
    storeScales(scales.stored, layout.scaleBytes / layout.groups, matrix.scales, r * layout.scaleBytes);
    if (layout.scaleBaseBytes > 0) storeScales(Uint16Array.of(scales.base), 2, matrix.scaleBases, 2 * r);
    if (salient && residuals) {
      const rowSalient = salient.subarray(firstSalient, nextSalient).map((index) => index - r * columns);
      const dense = (column: number) => {
        const shared =
          format.sharedBits === 0 ? 0 : row.sharedCodes[Math.floor(column / format.sharingBlock)]!;
        const code = row.codes[column]! * 2 ** format.sharedBits + shared;
        const { levels, centre } = format.levelTable;
        return scales.values[Math.floor(column / format.groupSize)]! * (levels[code]! - centre);
      };
      residuals.addRow(r, rowSalient, (column) => rowWeights[column]! - dense(column));
    }
  }
  return residuals ? { ...matrix, salient: residuals.salient } : matrix;
}

function storeScales(stored: Uint16Array, bytesEach: number, target: Uint8Array, offset: number): void {
  for (const value of stored) {
    target[offset++] = value & 0xff;
    if (bytesEach === 2) target[offset++] = value >>> 8;
  }
}

/** Collects the int8 residuals of salient weights, row by row. */
class ResidualBuilder {
  readonly salient: SalientWeights;
  private next = 0;

  constructor(rows: number, total: number) {
    this.salient = {
      counts: new Uint32Array(rows),
      columns: new Uint32Array(total),
      residuals: new Int8Array(total),
      scales: new Float32Array(rows),
    };
  }

  addRow(row: number, columns: Uint32Array, difference: (column: number) => number): void {
    let largest = 0;
    for (const column of columns) largest = Math.max(largest, Math.abs(difference(column)));
    const scale = numberFromFloat16(float16NotBelow(largest / 127));
    this.salient.counts[row] = columns.length;
    this.salient.scales[row] = scale;
    for (const column of columns) {
      this.salient.columns[this.next] = column;
      const code = scale > 0 ? Math.round(difference(column) / scale) : 0;
      this.salient.residuals[this.next++] = Math.min(Math.max(code, -127), 127);
    }
  }
}
