import { linearLevelTable } from '../level-table.js';
import { defineNumberFormat } from '../number-format.js';

/** The values -1, 0 and 1 in two bits; the fourth code repeats 1. */
export const ternary = /* @__PURE__ */ defineNumberFormat({
  name: 'ternary-g64',
  privateBits: 2,
  groupSize: 64,
  levelTable: { name: 'ternary', levels: [0, 1, 2, 2], centre: 1 },
});

/** The values -1/2 and 1/2: a sign and the scale of the group. */
export const binary = /* @__PURE__ */ defineNumberFormat({
  name: 'binary-g64',
  privateBits: 1,
  groupSize: 64,
  levelTable: linearLevelTable(1),
});
