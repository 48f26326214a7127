import { type LevelTable, linearLevelTable } from '../level-table.js';
import { defineNumberFormat, type NumberFormat } from '../number-format.js';
import type { ScaleEncodingName } from '../scale-encoding.js';

/** The declaration of a format with shared bits. */
export interface LbsFormatOptions {
  /** b, 1 to 7. */
  readonly privateBits: number;
  /** s, 1 to 4. */
  readonly sharedBits: number;
  /** g: weights that share them. */
  readonly sharingBlock: number;
  /** Default: 64. */
  readonly groupSize?: number;
  /** Default: the linear table of b + s bits. */
  readonly levelTable?: LevelTable;
  /** Default: `log8`. */
  readonly scaleEncoding?: ScaleEncodingName;
}

/**
 * A format with shared bits, named by its declaration: `lbs-b4-s2x8-g64-linear-6` has 4 private bits, 2 bits shared by
 * 8 weights, groups of 64 and the table `linear-6`; an encoding of scales other than `log8` is appended. Throws
 * InvalidArgumentError where the parts do not fit.
 */
export function lbsFormat(options: LbsFormatOptions): NumberFormat {
  const { privateBits, sharedBits, sharingBlock, groupSize = 64, scaleEncoding = 'log8' } = options;
  const levelTable = options.levelTable ?? linearLevelTable(privateBits + sharedBits);
  const suffix = scaleEncoding === 'log8' ? '' : `-${scaleEncoding}`;
  return defineNumberFormat({
    name: `lbs-b${privateBits}-s${sharedBits}x${sharingBlock}-g${groupSize}-${levelTable.name}${suffix}`,
    privateBits,
    sharedBits,
    sharingBlock,
    groupSize,
    levelTable,
    scaleEncoding,
  });
}
