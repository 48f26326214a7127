import type { LevelTable } from '../level-table.js';
import { lloydLevelTable3, lloydLevelTable4 } from '../lloyd-level-tables.js';
import { defineNumberFormat } from '../number-format.js';

/**
 * NormalFloat4 of QLoRA (Dettmers et al. 2023, appendix E): 16 quantiles of the normal distribution in [-1, 1], here
 * in units of 1/127 and rounded to integers. That moves a level by at most 0.0037 of the largest weight.
 */
export const nf4LevelTable: LevelTable = {
  name: 'nf4',
  levels: [0, 39, 60, 77, 91, 104, 115, 127, 137, 147, 158, 170, 183, 198, 219, 254],
  centre: 127,
};

/** The non-linear levels of llama.cpp's IQ4_NL (`kvalues_iq4nl`), as they are: -127 to 113. */
export const iq4nlLevelTable: LevelTable = {
  name: 'iq4nl',
  levels: [0, 23, 44, 62, 78, 92, 105, 117, 128, 140, 152, 165, 180, 196, 216, 240],
  centre: 127,
};

/** NF4 with a binary16 scale for 64 weights. */
export const nf4 = /* @__PURE__ */ defineNumberFormat({
  name: 'nf4-g64',
  privateBits: 4,
  groupSize: 64,
  levelTable: nf4LevelTable,
});

/** The levels of IQ4_NL with a binary16 scale for 32 weights, as llama.cpp has it. */
export const iq4nl = /* @__PURE__ */ defineNumberFormat({
  name: 'iq4nl-g32',
  privateBits: 4,
  groupSize: 32,
  levelTable: iq4nlLevelTable,
});

/** 16 Lloyd-Max levels for normally distributed weights, nothing shared. */
export const lloyd4 = /* @__PURE__ */ defineNumberFormat({
  name: 'lloyd4-g64',
  privateBits: 4,
  groupSize: 64,
  levelTable: lloydLevelTable4,
});

/** 8 Lloyd-Max levels for normally distributed weights, nothing shared. */
export const lloyd3 = /* @__PURE__ */ defineNumberFormat({
  name: 'lloyd3-g64',
  privateBits: 3,
  groupSize: 64,
  levelTable: lloydLevelTable3,
});
