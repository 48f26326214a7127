import { InvalidArgumentError } from './errors.js';
import { type LevelTable, linearLevelTable } from './level-table.js';
import { bytesPerScale, bytesPerScaleBase, type ScaleEncoding, scaleEncodings } from './scale-encoding.js';

/** Weights that one packing step covers, for every width of the code (SPEC 4). */
export const packingUnit = 64;

/** The declaration of a number format. Everything that code needs to know about a format follows from it. */
export interface NumberFormat {
  readonly name: string;
  /** b: high bits that every weight keeps, 1 to 8. */
  readonly privateBits: number;
  /** s: low bits that a sharing block stores once, 0 to 4; b + s is at most 8. */
  readonly sharedBits: number;
  /** g: consecutive weights of a row that share low bits; divides the group size. */
  readonly sharingBlock: number;
  /** G: consecutive weights of a row that have one scale. */
  readonly groupSize: number;
  readonly levelTable: LevelTable;
  readonly scaleEncoding: ScaleEncoding;
}

/** A number format as it is declared: what is left out follows from the rest. */
export interface NumberFormatOptions {
  readonly name: string;
  readonly privateBits: number;
  readonly sharedBits?: number;
  readonly sharingBlock?: number;
  readonly groupSize: number;
  /** Default: the linear table of b + s bits. */
  readonly levelTable?: LevelTable;
  /** Default: `float16`. */
  readonly scaleEncoding?: ScaleEncoding;
}

/** Makes a number format from its declaration. Throws InvalidArgumentError where the parts do not fit. */
export function defineNumberFormat(options: NumberFormatOptions): NumberFormat {
  const sharedBits = options.sharedBits ?? 0;
  const format: NumberFormat = {
    name: options.name,
    privateBits: options.privateBits,
    sharedBits,
    sharingBlock: options.sharingBlock ?? options.groupSize,
    groupSize: options.groupSize,
    levelTable: options.levelTable ?? linearLevelTable(options.privateBits + sharedBits),
    scaleEncoding: options.scaleEncoding ?? 'float16',
  };
  for (const [broken, problem] of brokenRules(format)) {
    if (broken) throw new InvalidArgumentError(`number format "${format.name}": ${problem}`);
  }
  return format;
}

function* brokenRules(format: NumberFormat): Generator<[boolean, string]> {
  const { privateBits: b, sharedBits: s, sharingBlock: g, groupSize: G, levelTable } = format;
  yield [!isWithin(b, 1, 8), `private bits must be a whole number from 1 to 8, not ${b}`];
  yield [!isWithin(s, 0, 4) || b + s > 8, `shared bits must be from 0 to 4 and b + s at most 8, not ${s}`];
  yield [!isWithin(G, 16, 65536) || G % 16 !== 0, `group size must be a multiple of 16, not ${G}`];
  yield [!isWithin(g, 1, G) || G % g !== 0, `sharing block ${g} must divide the group size ${G}`];
  yield [!scaleEncodings.includes(format.scaleEncoding), `unknown scale encoding "${format.scaleEncoding}"`];
  const { levels, centre } = levelTable;
  yield [levels.length !== 2 ** (b + s), `needs ${2 ** (b + s)} levels, its table has ${levels.length}`];
  yield [levels.some((level) => !isWithin(level, 0, 255)), 'levels must be whole numbers from 0 to 255'];
  yield [levels.some((level, i) => i > 0 && level <= levels[i - 1]!), 'levels must ascend'];
  yield [
    !Number.isInteger(2 * centre) || !(centre >= 0 && centre <= 255),
    `centre ${centre} must be a multiple of 0.5`,
  ];
}

function isWithin(value: number, least: number, most: number): boolean {
  return Number.isInteger(value) && value >= least && value <= most;
}

/** Sizes of a matrix's stored parts in bytes, each a row. */
export interface RowLayout {
  /** Packing units of 64 weights, the last one padded with code 0. */
  readonly units: number;
  readonly packedBytes: number;
  /** Sharing blocks, the last one possibly short. */
  readonly blocks: number;
  readonly sharedBytes: number;
  /** Groups, the last one possibly short. */
  readonly groups: number;
  readonly scaleBytes: number;
  readonly scaleBaseBytes: number;
}

/** The sizes that follow from a format for rows of `columns` weights. */
export function rowLayout(format: NumberFormat, columns: number): RowLayout {
  const units = Math.ceil(columns / packingUnit);
  const groups = Math.ceil(columns / format.groupSize);
  const blocks = format.sharedBits === 0 ? 0 : Math.ceil(columns / format.sharingBlock);
  return {
    units,
    packedBytes: (units * packingUnit * format.privateBits) / 8,
    blocks,
    sharedBytes: Math.ceil((blocks * format.sharedBits) / 8),
    groups,
    scaleBytes: groups * bytesPerScale[format.scaleEncoding],
    scaleBaseBytes: bytesPerScaleBase[format.scaleEncoding],
  };
}

/** Bytes of a [rows, columns] matrix in this format, without salient weights. */
export function denseBytes(format: NumberFormat, rows: number, columns: number): number {
  const row = rowLayout(format, columns);
  return rows * (row.packedBytes + row.sharedBytes + row.scaleBytes + row.scaleBaseBytes);
}
