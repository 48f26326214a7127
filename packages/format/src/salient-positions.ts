import { BitReader, BitWriter } from './bit-stream.js';
import { type ErrorPlace, InvalidArgumentError, MalformedFileError } from './errors.js';
import type { SalientWeights } from './quantized-matrix.js';

/** Which weights of a matrix are salient. */
export type SalientPositions = Pick<SalientWeights, 'counts' | 'columns'>;

/**
 * Low bits of a gap that are stored as they are, where `fraction` of the weights are salient: the Rice parameter with the
 * shortest expected code. One more bit pays as long as (1 - fraction)^(2^k) is above the golden ratio's inverse, so as
 * long as 2^k * fraction is below its logarithm, 13/27 (Kiely, "Selecting the Golomb Parameter in Rice Coding", 2004).
 */
function lowBits(salient: number, weights: number): number {
  let bits = 0;
  while (27 * 2 ** bits * salient < 13 * weights) bits++;
  return bits;
}

/** The gaps before the salient weights [K], in row-major order; each names the positions between two of them. */
function gapsOf({ counts, columns: salientColumns }: SalientPositions, rows: number, columns: number) {
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
  return gaps;
}

/**
 * The gaps between the salient weights of a [rows, columns] matrix as Rice codes (SPEC 7.1). There is one
 * such list for every set of positions. Throws InvalidArgumentError where the columns of a row do not ascend, lie
 * outside of the matrix, or are not as many as counted.
 */
export function encodeSalientPositions(
  positions: SalientPositions,
  rows: number,
  columns: number,
): Uint8Array {
  const gaps = gapsOf(positions, rows, columns);
  const low = lowBits(gaps.length, rows * columns);
  const unit = 2 ** low;
  const length = gaps.reduce((sum, gap) => sum + Math.floor(gap / unit) + 1 + low, 0);
  const bytes = new Uint8Array(Math.ceil(length / 8));
  const writer = new BitWriter(bytes);
  for (const gap of gaps) {
    for (let i = Math.floor(gap / unit); i > 0; i--) writer.write(1);
    writer.write(0);
    let rest = gap % unit;
    for (let i = 0; i < low; i++) {
      writer.write(rest % 2);
      rest = Math.floor(rest / 2);
    }
  }
  return bytes;
}

/**
 * Reverses `encodeSalientPositions` for `total` > 0 salient weights. Throws MalformedFileError where the list is too short or too long,
 * leaves the matrix, or has bits other than 0 behind the last position.
 */
export function decodeSalientPositions(
  bytes: Uint8Array,
  total: number,
  rows: number,
  columns: number,
  place: ErrorPlace = {},
): SalientPositions {
  const unit = 2 ** lowBits(total, rows * columns);
  const reader = new BitReader(bytes);
  const counts = new Uint32Array(rows);
  const salientColumns = new Uint32Array(total);
  let row = 0;
  let column = 0;
  for (let i = 0; i < total; i++) {
    while (reader.read()) column += unit;
    for (let bit = 1; bit < unit; bit *= 2) if (reader.read()) column += bit;
    if (reader.isOverrun) {
      throw new MalformedFileError(`the list of ${total} salient weights ends before number ${i}`, place);
    }
    if (column >= columns) {
      row += Math.floor(column / columns);
      column %= columns;
    }
    if (row >= rows) {
      throw new MalformedFileError(
        `salient weight ${i} lies outside of the ${rows} x ${columns} matrix`,
        place,
      );
    }
    counts[row]!++;
    salientColumns[i] = column++;
  }
  if (!reader.isAtEnd) {
    throw new MalformedFileError(`the list of ${total} salient weights goes on behind the last one`, place);
  }
  return { counts, columns: salientColumns };
}

/**
 * Bits that a salient weight costs on average where each weight is one with the probability `fraction`, above 0 to 1: 8 of
 * its residual, and the code of its gap. Gaps are then distributed geometrically, so with k low bits and x = (1 - fraction)^(2^k)
 * the code has k + 1 / (1 - x) of them. A scale for each row that has a salient weight, 8 bits,
 * and the base of a matrix, 16 bits, come on top. Throws InvalidArgumentError where `fraction` is not above 0 and at most 1.
 */
export function expectedSalientBits(fraction: number): number {
  if (!(fraction > 0 && fraction <= 1)) {
    throw new InvalidArgumentError(`a fraction of salient weights is above 0 and at most 1, not ${fraction}`);
  }
  const low = lowBits(fraction, 1);
  return 8 + low + 1 / (1 - (1 - fraction) ** (2 ** low));
}
