import { type ErrorPlace, InvalidArgumentError, MalformedFileError } from './errors.js';
import type { SalientWeights } from './quantized-matrix.js';

/** A byte of this value skips as many positions and names none; every smaller one names the position behind its gap. */
const longGap = 255;

/** Which weights of a matrix are salient. */
export type SalientPositions = Pick<SalientWeights, 'counts' | 'columns'>;

/**
 * The gaps between the salient weights of a [rows, columns] matrix, in row-major order, as bytes (SPEC 7.1). There is one
 * such list for every set of positions. Throws InvalidArgumentError where the columns of a row do not ascend, lie
 * outside of the matrix, or are not as many as counted.
 */
export function encodeSalientPositions(
  { counts, columns: salientColumns }: SalientPositions,
  rows: number,
  columns: number,
): Uint8Array {
  // Beyond 2^32 in a large matrix with few salient weights.
  const gaps = new Float64Array(salientColumns.length);
  let next = 0;
  let behind = 0;
  for (let r = 0; r < rows; r++) {
    let least = 0;
    for (const end = next + (counts[r] ?? 0); next < end; next++) {
      const column = salientColumns[next] ?? columns;
      if (column < least || column >= columns) {
        throw new InvalidArgumentError(
          `the columns of the salient weights of row ${r} do not ascend, or are not below ${columns}`,
        );
      }
      const position = r * columns + column;
      gaps[next] = position - behind;
      behind = position + 1;
      least = column + 1;
    }
  }
  if (counts.length !== rows || next !== salientColumns.length) {
    throw new InvalidArgumentError(
      `the row counts of the salient weights name ${next} of them, not ${salientColumns.length}`,
    );
  }
  const length = gaps.reduce((sum, gap) => sum + Math.floor(gap / longGap) + 1, 0);
  const bytes = new Uint8Array(length).fill(longGap);
  let end = 0;
  for (const gap of gaps) {
    end += Math.floor(gap / longGap) + 1;
    bytes[end - 1] = gap % longGap;
  }
  return bytes;
}

/**
 * Reverses `encodeSalientPositions`. Throws MalformedFileError where the list is empty, ends in a byte that names no position, or
 * leaves the matrix.
 */
export function decodeSalientPositions(
  bytes: Uint8Array,
  rows: number,
  columns: number,
  place: ErrorPlace = {},
): SalientPositions {
  if (bytes.length === 0) throw new MalformedFileError('the list of salient weights is empty', place);
  if (bytes.at(-1) === longGap) {
    throw new MalformedFileError('the list of salient weights ends in a gap with nothing behind it', place);
  }
  const total = bytes.reduce((sum, byte) => sum + (byte < longGap ? 1 : 0), 0);
  const counts = new Uint32Array(rows);
  const salientColumns = new Uint32Array(total);
  let next = 0;
  let row = 0;
  let column = 0;
  for (const byte of bytes) {
    column += byte;
    if (column >= columns) {
      row += Math.floor(column / columns);
      column %= columns;
    }
    if (byte === longGap) continue;
    if (row >= rows) {
      throw new MalformedFileError(
        `salient weight ${next} lies outside of the ${rows} x ${columns} matrix`,
        place,
      );
    }
    counts[row]!++;
    salientColumns[next++] = column++;
  }
  return { counts, columns: salientColumns };
}

/**
 * Bits that a salient weight costs on average where each weight is one with the probability `fraction`, 0 to 1: its residual, the
 * byte of its gap, and the bytes that a longer gap needs. Gaps are then distributed geometrically, so with
 * x = (1 - fraction)^255 there are x / (1 - x) of the latter. A scale for each row that has a salient weight, 8 bits,
 * and the base of a matrix, 16 bits, come on top. Throws InvalidArgumentError where `fraction` is not above 0 and at most 1.
 */
export function expectedSalientBits(fraction: number): number {
  if (!(fraction > 0 && fraction <= 1)) {
    throw new InvalidArgumentError(`a fraction of salient weights is above 0 and at most 1, not ${fraction}`);
  }
  const longer = (1 - fraction) ** longGap;
  return 16 + (8 * longer) / (1 - longer);
}
