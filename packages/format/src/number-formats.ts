import { integerLevelTable, type LevelTable, linearLevelTable } from './level-table.js';
import { lloydLevelTable5, lloydLevelTable6 } from './lloyd-level-tables.js';
import { defineNumberFormat, type NumberFormat } from './number-format.js';
import { createRegistry, type Registry } from './registry.js';

/** Integer codes of their own for every weight, one binary16 scale for 64 of them. */
function integerFormat(bits: number): NumberFormat {
  return defineNumberFormat({
    name: `int${bits}-g64`,
    privateBits: bits,
    groupSize: 64,
    levelTable: integerLevelTable(bits),
  });
}

/** Two low bits shared by 16 weights, an 8-bit scale for 64: b + 0.25 bits and 16 bits a row. */
function sharedFormat(privateBits: number, levelTable: LevelTable): NumberFormat {
  return defineNumberFormat({
    name: `lbs-b${privateBits}-s2x16-g64-${levelTable.name}`,
    privateBits,
    sharedBits: 2,
    sharingBlock: 16,
    groupSize: 64,
    levelTable,
    scaleEncoding: 'log8',
  });
}

export const int8 = integerFormat(8);
export const int4 = integerFormat(4);
export const int3 = integerFormat(3);
export const lbs4 = sharedFormat(4, lloydLevelTable6);
export const lbs3 = sharedFormat(3, lloydLevelTable5);
export const lbs4Linear = sharedFormat(4, linearLevelTable(6));
export const lbs3Linear = sharedFormat(3, linearLevelTable(5));

/** The number formats that come with the package. */
export const numberFormats: readonly NumberFormat[] = [int8, int4, int3, lbs4, lbs3, lbs4Linear, lbs3Linear];

/** A registry of the formats that come with the package and of the caller's own. */
export function createFormatRegistry(own: readonly NumberFormat[] = []): Registry<NumberFormat> {
  return createRegistry('number format', [...numberFormats, ...own]);
}
