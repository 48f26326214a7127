import {
  createFormatRegistry,
  int3,
  int4,
  int8,
  type LevelTable,
  lbsFormat,
  type NumberFormat,
  nf4,
} from '@lbs/format';

/** What one line of the benchmark multiplies with: a number format, or float32 weights. */
export interface KernelCase {
  readonly name: string;
  /** Absent for float32. */
  readonly format?: NumberFormat;
}

export interface MatrixShape {
  readonly rows: number;
  readonly columns: number;
}

/** The matrices of a model with 135 million parameters, and of some with 1 to 7 billion. */
export const shapes: readonly MatrixShape[] = [
  { rows: 576, columns: 576 },
  { rows: 1536, columns: 576 },
  { rows: 2048, columns: 2048 },
  { rows: 5632, columns: 2048 },
  { rows: 4096, columns: 4096 },
];

/** Levels that are dense in the middle, as those of trained tables are, and fit seven bits. */
function curvedTable(bits: number): LevelTable {
  const last = 2 ** bits - 1;
  const levels = Array.from({ length: last + 1 }, (_, code) => {
    const x = (2 * code) / last - 1;
    return Math.round(63.5 + 63.5 * (0.7 * x + 0.3 * x ** 3));
  });
  return { name: `curved-${bits}`, levels, centre: 64 };
}

/** Two shared bits on a table. */
function onTable(privateBits: number, sharingBlock: number): NumberFormat {
  return lbsFormat({ privateBits, sharedBits: 2, sharingBlock, levelTable: curvedTable(privateBits + 2) });
}

const registry = createFormatRegistry();

/** One of every kind of decoding, in groups of 64. */
export const kernelCases: readonly KernelCase[] = [
  { name: 'f32' },
  { name: 'int8', format: int8 },
  { name: 'int6', format: registry.get('int6-g64') },
  { name: 'int4', format: int4 },
  { name: 'int3', format: int3 },
  { name: 'int2', format: registry.get('int2-g64') },
  { name: 'int4-zp', format: registry.get('int4-zp-g64') },
  { name: 'nf4', format: nf4 },
  {
    name: 'lbs5-s2x16',
    format: lbsFormat({ privateBits: 5, sharedBits: 2, sharingBlock: 16 }),
  },
  { name: 'lbs4-s2x8-linear', format: lbsFormat({ privateBits: 4, sharedBits: 2, sharingBlock: 8 }) },
  { name: 'lbs4-s2x16', format: onTable(4, 16) },
  { name: 'lbs3-s2x16', format: onTable(3, 16) },
  { name: 'lbs2-s2x16', format: onTable(2, 16) },
  { name: 'lbs4-s2x8', format: onTable(4, 8) },
  { name: 'lbs3-s2x8', format: onTable(3, 8) },
  { name: 'lbs2-s2x8', format: onTable(2, 8) },
];
