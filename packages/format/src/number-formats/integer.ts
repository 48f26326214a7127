import { integerLevelTable, unsignedLevelTable } from '../level-table.js';
import { defineNumberFormat, type NumberFormat } from '../number-format.js';

const groupSize = 64;

/** Two's complement integers, one binary16 scale for 64 of them: symmetric, zero is a level. */
export function integerFormat(bits: number): NumberFormat {
  return defineNumberFormat({
    name: `int${bits}-g${groupSize}`,
    privateBits: bits,
    groupSize,
    levelTable: integerLevelTable(bits),
  });
}

/** Unsigned integers with an integer zero-point beside the scale of 64 of them: asymmetric. */
export function zeroPointFormat(bits: number): NumberFormat {
  return defineNumberFormat({
    name: `int${bits}-zp-g${groupSize}`,
    privateBits: bits,
    groupSize,
    levelTable: unsignedLevelTable(bits),
    zeroPoint: true,
  });
}
