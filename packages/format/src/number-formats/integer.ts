import { integerLevelTable, spacedLevelTable, unsignedLevelTable } from '../level-table.js';
import { defineNumberFormat, type NumberFormat } from '../number-format.js';

/** Weights with one scale where nothing else is asked for. */
const defaultGroupSize = 64;

/** Two's complement integers, one binary16 scale for a group of them: symmetric, zero is a level. */
export function integerFormat(bits: number, groupSize = defaultGroupSize): NumberFormat {
  return defineNumberFormat({
    name: `int${bits}-g${groupSize}`,
    privateBits: bits,
    groupSize,
    levelTable: integerLevelTable(bits),
  });
}

/** Unsigned integers with an integer zero-point beside the scale of a group of them: asymmetric. */
export function zeroPointFormat(bits: number, groupSize = defaultGroupSize): NumberFormat {
  return defineNumberFormat({
    name: `int${bits}-zp-g${groupSize}`,
    privateBits: bits,
    groupSize,
    levelTable: unsignedLevelTable(bits),
    zeroPoint: true,
  });
}

/**
 * As `zeroPointFormat` with zero-points in fractions of a step, for up to 5 bits: quarters for 4 bits, eighths for 3, sixteenths for 2. At no cost in bits: an
 * integer zero-point leaves most of its byte unused. Doubled levels still fit a signed byte, as the kernels' codebooks want them.
 */
export function fineZeroPointFormat(bits: number): NumberFormat {
  return defineNumberFormat({
    name: `int${bits}-fine-zp-g${defaultGroupSize}`,
    privateBits: bits,
    groupSize: defaultGroupSize,
    levelTable: spacedLevelTable(bits, 2 ** (6 - bits)),
    zeroPoint: true,
  });
}
