import { doubledLevels, type NumberFormat } from '@lbs/format';

/** The values of `Decoder` in assembly/quantized-header.ts. */
export const decoders = {
  codebook: 0,
  codebookHalves: 1,
  table: 2,
  linear: 3,
  linearBlocks: 4,
  linearPattern: 5,
  lookup: 6,
} as const;

/** How a format's codes become doubled levels, with the tables that this takes. */
export interface DecodingPlan {
  readonly decoder: keyof typeof decoders;
  /** log2(sharing block / 16); 0 where it is of no use. */
  readonly blockShift: number;
  /** Vectors of 16 doubled levels; empty where they do not fit a byte or are not used. */
  readonly tables: Int8Array;
  /** [2^N] doubled levels. */
  readonly lookup: Int16Array;
  /** Twice the centre of the table. */
  readonly doubledCentre: number;
  /** [quarter, bit, byte choice and mask, 16 lanes] for sharing blocks of 2, 4 or 8; else empty. */
  readonly patterns: Uint8Array;
}

/** Follows from the format's declaration alone: the first decoder that can hold it, the fastest first. */
export function planDecoding(format: NumberFormat): DecodingPlan {
  const { privateBits: b, sharedBits: s, sharingBlock: g, levelTable } = format;
  const lookup = doubledLevels(levelTable);
  const isLinear = levelTable.levels.every((level, code) => level === code);
  const fitsByte = lookup.every((level) => level >= -128 && level <= 127);
  const blockShift = s === 0 ? 0 : Math.log2(g / 16);
  const hasBlocks = Number.isInteger(blockShift) && blockShift >= 0;
  const hasPattern = s > 0 && (g === 2 || g === 4 || g === 8);
  const plan = { blockShift: hasBlocks ? blockShift : 0, lookup, doubledCentre: 2 * levelTable.centre };
  const noTables = { tables: new Int8Array(0), patterns: new Uint8Array(0) };

  if (isLinear && s === 0) return { ...plan, ...noTables, decoder: 'linear' };
  if (b <= 4 && fitsByte && hasBlocks)
    return { ...plan, ...noTables, decoder: 'codebook', tables: codebooks(format, lookup) };
  if (b <= 4 && fitsByte && g === 8)
    return { ...plan, ...noTables, decoder: 'codebookHalves', tables: codebooks(format, lookup) };
  if (s <= 2 && b + s <= 6 && fitsByte && hasPattern) {
    return {
      ...plan,
      decoder: 'table',
      tables: consecutiveLevels(lookup),
      patterns: sharedBitPatterns(s, g),
    };
  }
  if (isLinear && hasBlocks) return { ...plan, ...noTables, decoder: 'linearBlocks' };
  if (isLinear && hasPattern)
    return { ...plan, ...noTables, decoder: 'linearPattern', patterns: sharedBitPatterns(s, g) };
  return { ...plan, ...noTables, decoder: 'lookup' };
}

/** Codebook c at vector c: the levels {level(2^s h + c)} of the private codes h. */
function codebooks({ sharedBits }: NumberFormat, lookup: Int16Array): Int8Array {
  const tables = new Int8Array(16 << sharedBits);
  for (let code = 0; code < lookup.length; code++) {
    const shared = code & ((1 << sharedBits) - 1);
    tables[16 * shared + (code >> sharedBits)] = lookup[code]!;
  }
  return tables;
}

/** The levels in order, filled up to whole vectors. */
function consecutiveLevels(lookup: Int16Array): Int8Array {
  const tables = new Int8Array(Math.max(16, lookup.length));
  tables.set(lookup);
  return tables;
}

/** For each quarter of a unit and each bit of a shared code: which byte of the unit's shared bits a lane reads, and its mask. */
function sharedBitPatterns(sharedBits: number, sharingBlock: number): Uint8Array {
  const patterns = new Uint8Array(4 * sharedBits * 32);
  for (let column = 0; column < 64; column++) {
    for (let bit = 0; bit < sharedBits; bit++) {
      const position = Math.floor(column / sharingBlock) * sharedBits + bit;
      const place = 32 * (Math.floor(column / 16) * sharedBits + bit) + (column % 16);
      patterns[place] = position >>> 3;
      patterns[place + 16] = 1 << (position & 7);
    }
  }
  return patterns;
}
