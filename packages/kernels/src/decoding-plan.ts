import { type NumberFormat, packingUnit } from '@lbs/format';

/** The values of `Decoder` in assembly/quantized-header.ts. */
export const decoders = {
  linear: 0,
  linearPairs: 1,
  codebook: 2,
  codebookQuarters: 3,
  codebookPairs: 4,
  table: 5,
  linearPattern: 6,
  lookup: 7,
} as const;

/** The last decoder of which the kernel for one token knows the levels. */
const lastOfVectors = decoders.table;

/** How the shared codes of a unit lie in a row's part of a record. */
export interface SharedLayout {
  /** Columns that have one code, a divisor of 64; 64 where a unit has one. */
  readonly columns: number;
  /** Bytes for a row. */
  readonly bytes: number;
  /** [64 / columns] the bit at which each code begins. */
  readonly positions: readonly number[];
}

/** How a format's codes become levels, with the tables that this takes. */
export interface DecodingPlan {
  readonly decoder: keyof typeof decoders;
  /** Whether there is a kernel for one token that decodes as it multiplies. */
  readonly isVector: boolean;
  /** Absent where no bits are shared, and where they stay as they are stored (`lookup`). */
  readonly shared?: SharedLayout;
  /** Vectors of bytes that the decoder looks up: levels, or shared codes for each lane. */
  readonly tables: Uint8Array;
  /** [quarter, bit, byte choice and mask, 16 lanes] where shared bits lie anyhow; else empty. */
  readonly patterns: Uint8Array;
}

const quarterColumns = 16;
/** The bit at which the nibble of each quarter begins: those of a half are in one byte, see assembly/codes.ts. */
const quarterNibbles = [0, 8, 4, 12];

/** Follows from the format's declaration alone: the first decoder that can hold it, the fastest first. */
export function planDecoding(format: NumberFormat): DecodingPlan {
  const { decoder, ...parts } = chooseDecoder(format);
  return {
    decoder,
    isVector: decoders[decoder] <= lastOfVectors,
    tables: new Uint8Array(0),
    patterns: new Uint8Array(0),
    ...parts,
  };
}

function chooseDecoder(
  format: NumberFormat,
): Pick<DecodingPlan, 'decoder'> & Partial<Pick<DecodingPlan, 'shared' | 'tables' | 'patterns'>> {
  const { privateBits: b, sharedBits: s, sharingBlock: g, levelTable } = format;
  const isLinear = levelTable.levels.every((level, code) => level === code);
  const hasPairs = (s === 1 || s === 2) && g % 8 === 0;
  if (s === 0 && isLinear) return { decoder: 'linear' };
  if (hasPairs && isLinear) {
    return { decoder: 'linearPairs', shared: pairLayout(s, 8), tables: sharedCodesOfPairs(s) };
  }
  if (s === 0 && b <= 4) return { decoder: 'codebook', tables: codebooks(format, 1, () => [0]) };
  if (hasPairs && b === 4 && g % quarterColumns === 0) {
    const tables = codebooks(format, 2 ** s, (code) => [code]);
    return { decoder: 'codebookQuarters', shared: pairLayout(s, quarterColumns), tables };
  }
  if (hasPairs && b <= 4) {
    const mask = 2 ** s - 1;
    const tables = codebooks(format, 16, (nibble) => [nibble & mask, (nibble >> s) & mask]);
    return { decoder: 'codebookPairs', shared: pairLayout(s, 8), tables };
  }
  const shared = s > 0 ? packedLayout(s, greatestPowerOfTwo(g)) : undefined;
  // Sixteen bytes are read at once.
  if (shared && shared.bytes <= 16) {
    const patterns = sharedBitPatterns(s, shared);
    if (s <= 2 && b + s <= 6) return { decoder: 'table', shared, patterns, tables: wholeTable(format, 64) };
    if (isLinear) return { decoder: 'linearPattern', shared, patterns };
  }
  return { decoder: 'lookup', tables: wholeTable(format, 2 ** (b + s)) };
}

/** Sharing blocks of so many columns divide a unit, or the other way round; at most 64. */
function greatestPowerOfTwo(sharingBlock: number): number {
  return Math.min(packingUnit, sharingBlock & -sharingBlock);
}

/** A nibble for each quarter: one code, or those of its first and of its last 8 columns. */
function pairLayout(sharedBits: number, columns: number): SharedLayout {
  const codes = quarterColumns / columns;
  const positions = quarterNibbles.flatMap((nibble) =>
    Array.from({ length: codes }, (_, i) => nibble + i * sharedBits),
  );
  return { columns, bytes: 2, positions };
}

/** One code after the other. */
function packedLayout(sharedBits: number, columns: number): SharedLayout {
  const codes = packingUnit / columns;
  const positions = Array.from({ length: codes }, (_, i) => i * sharedBits);
  return { columns, bytes: Math.ceil((codes * sharedBits) / 8), positions };
}

/**
 * A part of a table for each of `count` nibbles of shared bits: the codebooks {level(2^s h + c)} of the shared codes c that the nibble stands
 * for, each in vectors of its own where it needs 16 bytes, else two in a vector.
 */
function codebooks(
  { privateBits, sharedBits, levelTable }: NumberFormat,
  count: number,
  codesOf: (nibble: number) => readonly number[],
): Uint8Array {
  const codes = codesOf(0).length;
  const length = codes === 1 || privateBits === 4 ? 16 : 8;
  const tables = new Uint8Array(count * codes * length);
  for (let nibble = 0; nibble < count; nibble++) {
    for (const [i, shared] of codesOf(nibble).entries()) {
      for (let code = 0; code < 2 ** privateBits; code++) {
        const place = (nibble * codes + i) * length + code;
        tables[place] = levelTable.levels[(code << sharedBits) | shared]!;
      }
    }
  }
  return tables;
}

/** [16 nibbles, 16 lanes] the shared codes of a quarter's columns. */
function sharedCodesOfPairs(sharedBits: number): Uint8Array {
  const mask = 2 ** sharedBits - 1;
  return Uint8Array.from({ length: 256 }, (_, i) => ((i >> 4) >> ((i & 8) === 0 ? 0 : sharedBits)) & mask);
}

/** The levels in order, filled up to `length`. */
function wholeTable({ levelTable }: NumberFormat, length: number): Uint8Array {
  const tables = new Uint8Array(Math.max(length, levelTable.levels.length));
  tables.set(levelTable.levels);
  return tables;
}

/** For each quarter of a unit and each bit of a shared code: which byte of the unit's shared bits a lane reads, and its mask. */
function sharedBitPatterns(sharedBits: number, { columns, positions }: SharedLayout): Uint8Array {
  const patterns = new Uint8Array(4 * sharedBits * 32);
  for (let column = 0; column < packingUnit; column++) {
    for (let bit = 0; bit < sharedBits; bit++) {
      const position = positions[Math.floor(column / columns)]! + bit;
      const place = 32 * (Math.floor(column / quarterColumns) * sharedBits + bit) + (column % quarterColumns);
      patterns[place] = position >>> 3;
      patterns[place + 16] = 1 << (position & 7);
    }
  }
  return patterns;
}
