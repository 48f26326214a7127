import { InvalidArgumentError } from './errors.js';
import { type LevelTable, linearLevelTable } from './level-table.js';
import { type ScaleEncodingName, scaleEncodingOf, scaleEncodings } from './scale-encoding.js';

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
  /** Whether each group has an integer zero-point, which takes the place of the table's centre. */
  readonly zeroPoint: boolean;
  readonly scaleEncoding: ScaleEncodingName;
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
  /** Default: false. With a zero-point the centre of the level table must be 0. */
  readonly zeroPoint?: boolean;
  /** Default: `float16`. */
  readonly scaleEncoding?: ScaleEncodingName;
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
    zeroPoint: options.zeroPoint ?? false,
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
  yield [
    !Object.hasOwn(scaleEncodings, format.scaleEncoding),
    `unknown scale encoding "${format.scaleEncoding}"`,
  ];
  const { levels, centre } = levelTable;
  yield [levels.length !== 2 ** (b + s), `needs ${2 ** (b + s)} levels, its table has ${levels.length}`];
  yield [levels.some((level) => !isWithin(level, 0, 255)), 'levels must be whole numbers from 0 to 255'];
  yield [levels.some((level, i) => i > 0 && level < levels[i - 1]!), 'levels must not descend'];
  yield [
    !Number.isFinite(centre) || !Number.isInteger(2 * centre) || !(centre >= 0 && centre <= 255),
    `centre ${centre} must be a multiple of 0.5`,
  ];
  yield [format.zeroPoint && centre !== 0, `with zero-points the centre must be 0, not ${centre}`];
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
  /** Bytes of the row's own scale base; 0 where there is none. */
  readonly scaleBaseBytes: number;
  readonly zeroPointBytes: number;
}

/** The sizes that follow from a format for rows of `columns` weights. */
export function rowLayout(format: NumberFormat, columns: number): RowLayout {
  const units = Math.ceil(columns / packingUnit);
  const groups = Math.ceil(columns / format.groupSize);
  const blocks = format.sharedBits === 0 ? 0 : Math.ceil(columns / format.sharingBlock);
  const { bytes, base } = scaleEncodingOf(format);
  return {
    units,
    packedBytes: (units * packingUnit * format.privateBits) / 8,
    blocks,
    sharedBytes: Math.ceil((blocks * format.sharedBits) / 8),
    groups,
    scaleBytes: groups * bytes,
    scaleBaseBytes: base?.span === 'row' ? base.encoding.bytes : 0,
    zeroPointBytes: format.zeroPoint ? groups : 0,
  };
}

/** Bases of a matrix's scales: one for each row, one for the tensor, or none. */
export function scaleBaseCount(format: NumberFormat, rows: number): number {
  const { base } = scaleEncodingOf(format);
  if (!base) return 0;
  return base.span === 'row' ? rows : 1;
}

/** Bytes of each part of a matrix, salient weights and shape aside. */
export interface PartSizes {
  readonly packed: number;
  readonly shared: number;
  readonly scales: number;
  readonly scaleBases: number;
  readonly zeroPoints: number;
}

/** The sizes that follow from a format for a [rows, columns] matrix. */
export function partSizes(format: NumberFormat, rows: number, columns: number): PartSizes {
  const row = rowLayout(format, columns);
  return {
    packed: rows * row.packedBytes,
    shared: rows * row.sharedBytes,
    scales: rows * row.scaleBytes,
    scaleBases: scaleBaseCount(format, rows) * (scaleEncodingOf(format).base?.encoding.bytes ?? 0),
    zeroPoints: rows * row.zeroPointBytes,
  };
}

/** Bytes of a [rows, columns] matrix in this format, without salient weights. */
export function denseBytes(format: NumberFormat, rows: number, columns: number): number {
  const { packed, shared, scales, scaleBases, zeroPoints } = partSizes(format, rows, columns);
  return packed + shared + scales + scaleBases + zeroPoints;
}

/** The effective rate: bits a weight of a [rows, columns] matrix, with everything but salient weights and shape. */
export function bitsPerWeight(format: NumberFormat, rows: number, columns: number): number {
  return (8 * denseBytes(format, rows, columns)) / (rows * columns);
}
