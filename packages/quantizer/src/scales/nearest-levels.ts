import { doubledLevels, type NumberFormat } from '@lbs/format';

/**
 * Look-up tables from a weight, in units of half its scale, to the nearest level of each row of a format's
 * level table. Doubled levels all have the same parity, so the borders between neighbours are integers and the
 * look-up by `floor` is exact.
 */
export interface NearestLevels {
  /** 2^s rows: the codebooks that a sharing block chooses from. */
  readonly rows: number;
  /** Smallest doubled level; the tables begin there. */
  readonly least: number;
  readonly greatest: number;
  /** Entries of one row. */
  readonly width: number;
  /** [rows, width] nearest doubled level, as float64 to spare the encoder's inner loop a conversion. */
  readonly levels: Float64Array;
  /** [rows, width] private code of that level. */
  readonly codes: Uint8Array;
}

/** The tables of a format; made once and used for all of its groups. */
export function buildNearestLevels(format: NumberFormat): NearestLevels {
  const table = doubledLevels(format.levelTable);
  const least = table[0]!;
  const greatest = table[table.length - 1]!;
  const width = greatest - least + 1;
  const rows = 2 ** format.sharedBits;
  const levels = new Float64Array(rows * width);
  const codes = new Uint8Array(rows * width);
  const codesPerRow = 2 ** format.privateBits;
  for (let row = 0; row < rows; row++) {
    const level = (code: number) => table[code * rows + row]!;
    /** The first code of the next greater level: of codes with one level, the first is used. */
    const following = (code: number) => {
      let next = code + 1;
      while (next < codesPerRow && level(next) === level(code)) next++;
      return next;
    };
    let code = 0;
    let next = following(code);
    for (let i = 0; i < width; i++) {
      while (next < codesPerRow && 2 * (least + i) >= level(code) + level(next)) {
        code = next;
        next = following(code);
      }
      levels[row * width + i] = level(code);
      codes[row * width + i] = code;
    }
  }
  return { rows, least, greatest, width, levels, codes };
}
