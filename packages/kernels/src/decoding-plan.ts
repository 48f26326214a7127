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
  /** What one step of the decoded levels is in scales: 0.5 where they are doubled, else 1. */
  readonly levelUnit: number;
  /** Vectors of 16 levels in that unit; empty where they do not fit a byte or are not used. */
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
  const bytes = byteLevels(format, lookup);
  const blockShift = s === 0 ? 0 : Math.log2(g / 16);
  const hasBlocks = Number.isInteger(blockShift) && blockShift >= 0;
  const hasPattern = s > 0 && (g === 2 || g === 4 || g === 8);
  const plan = {
    blockShift: hasBlocks ? blockShift : 0,
    levelUnit: 0.5,
    lookup,
    doubledCentre: 2 * levelTable.centre,
    tables: new Int8Array(0),
    patterns: new Uint8Array(0),
  };

  if (isLinear && s === 0) return { ...plan, decoder: 'linear' };
  if (b <= 4 && bytes && (hasBlocks || g === 8)) {
    const decoder = hasBlocks ? 'codebook' : 'codebookHalves';
    return { ...plan, levelUnit: bytes.unit, decoder, tables: codebooks(format, bytes.levels) };
  }
  if (s <= 2 && b + s <= 6 && bytes && hasPattern) {
    return {
      ...plan,
      levelUnit: bytes.unit,
      decoder: 'table',
      tables: consecutiveLevels(bytes.levels),
      patterns: sharedBitPatterns(s, g),
    };
  }
  if (isLinear && hasBlocks) return { ...plan, decoder: 'linearBlocks' };
  if (isLinear && hasPattern) return { ...plan, decoder: 'linearPattern', patterns: sharedBitPatterns(s, g) };
  return { ...plan, decoder: 'lookup' };
}

/**
 * The levels as signed bytes: doubled, or as they are where only that fits, which needs a whole centre. Zero-points are
 * taken from doubled levels.
 */
function byteLevels(
  { zeroPoint }: NumberFormat,
  doubled: Int16Array,
): { levels: Int16Array; unit: number } | undefined {
  const fits = (level: number) => level >= -128 && level <= 127;
  if (doubled.every(fits)) return { levels: doubled, unit: 0.5 };
  const whole = doubled.map((level) => level >> 1);
  const isExact = doubled.every((level) => level % 2 === 0);
  return isExact && !zeroPoint && whole.every(fits) ? { levels: whole, unit: 1 } : undefined;
}

/** Codebook c at vector c: the levels {level(2^s h + c)} of the private codes h. */
function codebooks({ sharedBits }: NumberFormat, levels: Int16Array): Int8Array {
  const tables = new Int8Array(16 << sharedBits);
  for (let code = 0; code < levels.length; code++) {
    const shared = code & ((1 << sharedBits) - 1);
    tables[16 * shared + (code >> sharedBits)] = levels[code]!;
  }
  return tables;
}

/** The levels in order, filled up to whole vectors. */
function consecutiveLevels(levels: Int16Array): Int8Array {
  const tables = new Int8Array(Math.max(16, levels.length));
  tables.set(levels);
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
