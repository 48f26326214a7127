import { decodeScales, packingUnit, type QuantizedMatrix, rowLayout } from '@lbs/format';
import type { DecodingPlan, SharedLayout } from './decoding-plan.js';

/** Rows of a quad, whose units are interleaved. */
export const quadRows = 4;

/** Where the parts of a record of assembly/quantized-header.ts are, in bytes. */
export interface RecordLayout {
  readonly bytes: number;
  readonly sharedOffset: number;
  readonly scaleOffset: number;
  /** 0 where the format has no zero-points. */
  readonly zeroPointOffset: number;
  readonly quads: number;
  readonly units: number;
  readonly chunkColumns: number;
}

/** Columns that share one weight scale and one activation scale: gcd(64, group size), a multiple of 16. */
export function chunkColumnsOf(groupSize: number): number {
  return [64, 32].find((columns) => groupSize % columns === 0) ?? 16;
}

export function recordLayout({ format, rows, columns }: QuantizedMatrix, plan: DecodingPlan): RecordLayout {
  const chunkColumns = chunkColumnsOf(format.groupSize);
  const chunks = packingUnit / chunkColumns;
  const sharedOffset = quadRows * 8 * format.privateBits;
  const scaleOffset = sharedOffset + quadRows * (plan.shared?.bytes ?? 0);
  const scalesEnd = scaleOffset + quadRows * 4 * chunks;
  return {
    bytes: scalesEnd + (format.zeroPoint ? quadRows * chunks : 0),
    sharedOffset,
    scaleOffset,
    zeroPointOffset: format.zeroPoint ? scalesEnd : 0,
    quads: Math.ceil(rows / quadRows),
    units: rowLayout(format, columns).units,
    chunkColumns,
  };
}

/** Writes the records of a matrix into `target`, [quads, units, bytes of a record] zeros. */
export function writeRecords(
  target: Uint8Array,
  matrix: QuantizedMatrix,
  plan: DecodingPlan,
  layout: RecordLayout,
): void {
  const { format, rows, columns } = matrix;
  const { groups, packedBytes, sharedBytes } = rowLayout(format, columns);
  const unitBytes = 8 * format.privateBits;
  const chunks = packingUnit / layout.chunkColumns;
  const scales = decodeScales(matrix);
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
  const sharedWriter = plan.shared && createSharedWriter(matrix, plan.shared, sharedBytes);
  for (let row = 0; row < rows; row++) {
    const place = row % quadRows;
    for (let unit = 0; unit < layout.units; unit++) {
      const record = (((row - place) / quadRows) * layout.units + unit) * layout.bytes;
      const packed = row * packedBytes + unit * unitBytes;
      const codes = record + place * unitBytes;
      for (let i = 0; i < unitBytes; i++) target[codes + i] = matrix.packed[packed + i]!;
      if (sharedWriter) {
        sharedWriter(target, record + layout.sharedOffset + place * plan.shared!.bytes, row, unit);
      }
      for (let chunk = 0; chunk < chunks; chunk++) {
        const group = Math.floor((unit * packingUnit + chunk * layout.chunkColumns) / format.groupSize);
        if (group >= groups) break;
        const part = quadRows * chunk + place;
        // Levels are doubled.
        view.setFloat32(record + layout.scaleOffset + 4 * part, 0.5 * scales[row * groups + group]!, true);
        if (matrix.zeroPoints) {
          target[record + layout.zeroPointOffset + part] = matrix.zeroPoints[row * groups + group]!;
        }
      }
    }
  }
}

/** A function that writes the shared codes of a row's unit. Codes behind the last block are 0. */
function createSharedWriter(
  { format, columns, shared }: QuantizedMatrix,
  { columns: codeColumns, positions }: SharedLayout,
  sharedBytes: number,
) {
  const { sharedBits, sharingBlock } = format;
  const mask = 2 ** sharedBits - 1;
  return (target: Uint8Array, place: number, row: number, unit: number) => {
    for (let i = 0; i < positions.length; i++) {
      const column = unit * packingUnit + i * codeColumns;
      if (column >= columns) break;
      const bit = Math.floor(column / sharingBlock) * sharedBits;
      const byte = row * sharedBytes + (bit >>> 3);
      const bits = shared[byte]! | ((shared[byte + 1] ?? 0) << 8);
      const code = (bits >>> (bit & 7)) & mask;
      const position = positions[i]!;
      const shifted = code << (position & 7);
      target[place + (position >>> 3)]! |= shifted;
      if (shifted > 255) target[place + (position >>> 3) + 1]! |= shifted >>> 8;
    }
  };
}
