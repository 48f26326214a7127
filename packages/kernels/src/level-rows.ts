import type { NumberFormat } from '@lbs/format';
import type { Arena, Pointer } from './arena.js';

/** Columns that are rounded between two passes of feedback where no bits are shared; divides every group size. */
const blockWithoutSharing = 16;

/** Columns whose codes are chosen together. */
export function searchBlock({ sharedBits, sharingBlock }: NumberFormat): number {
  return sharedBits > 0 ? sharingBlock : blockWithoutSharing;
}

/** A format's level table as the code search reads it. */
export interface LevelRows {
  /** 2^s and 2^b. */
  readonly tableRows: number;
  readonly levelsPerRow: number;
  /** The distance of levels in a row where it is the same for all; else 0. */
  readonly step: number;
  /**
   * [2^s, 2 * 2^b] for each row of the table its first level less the centre, then for every other level the border below it and the
   * step up to it. The last value of a row is unused.
   */
  readonly values: Float32Array;
}

/** The rows of a level table: row c holds the levels {level(2^s h + c)} of the private codes h. */
export function levelRows({ privateBits, sharedBits, levelTable }: NumberFormat): LevelRows {
  const tableRows = 2 ** sharedBits;
  const levelsPerRow = 2 ** privateBits;
  const { levels, centre } = levelTable;
  const values = new Float32Array(tableRows * 2 * levelsPerRow);
  const steps = new Set<number>();
  for (let row = 0; row < tableRows; row++) {
    const level = (code: number) => levels[code * tableRows + row]! - centre;
    const start = row * 2 * levelsPerRow;
    values[start] = level(0);
    for (let code = 1; code < levelsPerRow; code++) {
      values[start + 2 * code - 1] = (level(code - 1) + level(code)) / 2;
      values[start + 2 * code] = level(code) - level(code - 1);
      steps.add(level(code) - level(code - 1));
    }
  }
  const [step = 0] = steps;
  return { tableRows, levelsPerRow, step: steps.size === 1 ? step : 0, values };
}

/** Writes a header that begins with the `LevelRows` of assembly/level-rows.ts; `fields` are what follows. */
export function writeLevelHeader(arena: Arena, format: NumberFormat, fields: readonly number[]): Pointer {
  const { tableRows, levelsPerRow, step, values } = levelRows(format);
  const levels = arena.copy(values);
  const words = [tableRows, levelsPerRow, step > 0 ? 1 : 0, 0, levels, ...fields];
  const header = arena.allocate(4 * words.length);
  arena.uint32(header, words.length).set(words);
  arena.float32(header + 4 * 3, 1)[0] = step;
  return header;
}
