import {
  sharedLloydLevelTable4,
  sharedLloydLevelTable5,
  sharedLloydLevelTable6,
} from './lloyd-level-tables.js';
import type { NumberFormat } from './number-format.js';
import { iq4nl, lloyd3, lloyd4, nf4 } from './number-formats/codebook.js';
import { binary, ternary } from './number-formats/few-levels.js';
import { fp4, mxfp4, nvfp4 } from './number-formats/floating-point.js';
import { fineZeroPointFormat, integerFormat, zeroPointFormat } from './number-formats/integer.js';
import { lbsFormat } from './number-formats/lbs.js';
import { createRegistry, type Registry } from './registry.js';

export * from './number-formats/codebook.js';
export * from './number-formats/few-levels.js';
export * from './number-formats/floating-point.js';
export * from './number-formats/integer.js';
export * from './number-formats/lbs.js';

/** INT8 with a binary16 scale for 64 weights: 8.25 bits. */
export const int8 = /* @__PURE__ */ integerFormat(8);
/** INT4 with a binary16 scale for 64 weights: 4.25 bits. */
export const int4 = /* @__PURE__ */ integerFormat(4);
/** INT3 with a binary16 scale for 64 weights: 3.25 bits. */
export const int3 = /* @__PURE__ */ integerFormat(3);
/** INT4 with a binary16 scale for 128 weights: 4.125 bits. */
export const int4Group128 = /* @__PURE__ */ integerFormat(4, 128);
/** INT4 with a binary16 scale and an integer zero-point for 128 weights: 4.1875 bits. */
export const int4ZeroPointGroup128 = /* @__PURE__ */ zeroPointFormat(4, 128);
/** Two low bits shared by 8 weights, an 8-bit scale for 64: b + 0.375 bits and 16 bits a row. */
const sharing = { sharedBits: 2, sharingBlock: 8 };
/**
 * LBS with 5 private bits on evenly spaced levels: 5.375 bits and 16 bits a row. A table of its own would need a codebook of 32 levels,
 * which is two vectors; kernels compute evenly spaced levels instead.
 */
export const lbs5 = /* @__PURE__ */ lbsFormat({ privateBits: 5, ...sharing });
/** LBS with 4 private bits on Lloyd-Max levels: 4.375 bits and 16 bits a row. */
export const lbs4 = /* @__PURE__ */ lbsFormat({
  privateBits: 4,
  ...sharing,
  levelTable: sharedLloydLevelTable6,
});
/** LBS with 3 private bits on Lloyd-Max levels: 3.375 bits and 16 bits a row. */
export const lbs3 = /* @__PURE__ */ lbsFormat({
  privateBits: 3,
  ...sharing,
  levelTable: sharedLloydLevelTable5,
});
/** LBS with 2 private bits on Lloyd-Max levels: 2.375 bits and 16 bits a row. */
export const lbs2 = /* @__PURE__ */ lbsFormat({
  privateBits: 2,
  ...sharing,
  levelTable: sharedLloydLevelTable4,
});
/** `lbs4` on evenly spaced levels, the integer format of the LBS paper. */
export const lbs4Linear = /* @__PURE__ */ lbsFormat({ privateBits: 4, ...sharing });
/** `lbs3` on evenly spaced levels. */
export const lbs3Linear = /* @__PURE__ */ lbsFormat({ privateBits: 3, ...sharing });

/**
 * The number formats that come with the package. Of the linear LBS formats those that share 2 bits among 8 weights, and 1 or
 * 3 among 16, are named here; `lbsFormat` makes the others.
 */
export const numberFormats: readonly NumberFormat[] = [
  int8,
  ...[7, 6, 5].map((bits) => integerFormat(bits)),
  int4,
  int4Group128,
  int3,
  integerFormat(2),
  ...[8, 7, 6, 5, 4, 3, 2].map((bits) => zeroPointFormat(bits)),
  int4ZeroPointGroup128,
  ...[4, 3, 2].map(fineZeroPointFormat),
  ternary,
  binary,
  nf4,
  iq4nl,
  lloyd4,
  lloyd3,
  fp4,
  mxfp4,
  nvfp4,
  lbs5,
  lbs4,
  lbs3,
  lbs2,
  lbs4Linear,
  lbs3Linear,
  ...[6, 2, 1].map((privateBits) => lbsFormat({ privateBits, ...sharing })),
  ...[6, 5, 4, 3, 2, 1].map((privateBits) => lbsFormat({ privateBits, sharedBits: 1, sharingBlock: 16 })),
  ...[5, 4, 3, 2, 1].map((privateBits) => lbsFormat({ privateBits, sharedBits: 3, sharingBlock: 16 })),
];

/** A registry of the formats that come with the package and of the caller's own. */
export function createFormatRegistry(own: readonly NumberFormat[] = []): Registry<NumberFormat> {
  return createRegistry('number format', [...numberFormats, ...own]);
}
