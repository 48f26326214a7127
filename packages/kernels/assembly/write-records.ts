import { QuantizedHeader, recordOf } from './quantized-header';

/** The shared code of a column's block, in a row of codes as they are stored. */
@inline
function storedSharedCode(m: QuantizedHeader, row: usize, column: u32): u32 {
  const position = (column / m.sharingBlock) * m.sharedBits;
  const mask: u32 = (1 << m.sharedBits) - 1;
  return ((<u32>load<u16>(row + (position >> 3))) >> (position & 7)) & mask;
}

/** Shared codes of a unit, one for each `codeColumns`, at the bits that `positions` [64 / codeColumns] names. `target` holds zeros. */
function writeSharedCodes(
  m: QuantizedHeader,
  stored: usize,
  unit: u32,
  codeColumns: u32,
  positions: usize,
  target: usize,
): void {
  const end = min(64 * unit + 64, m.columns);
  for (let column = 64 * unit; column < end; column += codeColumns) {
    const position = load<u32>(positions);
    const place = target + (position >> 3);
    store<u16>(place, load<u16>(place) | <u16>(storedSharedCode(m, stored, column) << (position & 7)));
    positions += 4;
  }
}

/**
 * Writes rows `firstRow` to `endRow` of a matrix into its records, which hold zeros. `packed` and `shared` are these rows as the format stores
 * them, `shared` with two bytes more; `scales` [rows, groups] float32 and `zeroPoints` [rows, groups] those of the whole matrix.
 */
export function writeRecords(
  header: usize,
  firstRow: u32,
  endRow: u32,
  packed: usize,
  shared: usize,
  scales: usize,
  zeroPoints: usize,
  groupSize: u32,
  codeColumns: u32,
  positions: usize,
): void {
  const m = changetype<QuantizedHeader>(header);
  const unitBytes: u32 = 8 * m.privateBits;
  const groups = (m.columns + groupSize - 1) / groupSize;
  const chunks: u32 = 64 / m.chunkColumns;
  for (let row = firstRow; row < endRow; row++) {
    const place = row & 3;
    let record = recordOf(m, row >> 2, 0);
    for (let unit: u32 = 0; unit < m.units; unit++) {
      const codes = record + place * unitBytes;
      for (let i: u32 = 0; i < unitBytes; i += 8) store<u64>(codes + i, load<u64>(packed + i));
      packed += unitBytes;
      const sharedTarget = record + m.sharedOffset + place * m.sharedBytes;
      if (m.sharedBytes) writeSharedCodes(m, shared, unit, codeColumns, positions, sharedTarget);
      for (let chunk: u32 = 0; chunk < chunks; chunk++) {
        const column: u32 = 64 * unit + chunk * m.chunkColumns;
        if (column >= m.columns) break;
        const group = row * groups + column / groupSize;
        // Levels are doubled.
        store<f32>(record + m.scaleOffset + 4 * (4 * chunk + place), 0.5 * load<f32>(scales + 4 * group));
        if (m.zeroPointOffset) {
          store<u8>(record + m.zeroPointOffset + 4 * chunk + place, load<u8>(zeroPoints + group));
        }
      }
      record += m.recordBytes;
    }
    shared += m.sharedStride;
  }
}
