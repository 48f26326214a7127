import type { LevelTable } from '../level-table.js';
import { defineNumberFormat } from '../number-format.js';

/**
 * FP4 E2M1 in half units: 0, 1/2, 1, 3/2, 2, 3, 4 and 6 of both signs are `(level - centre) / 2`. A code here
 * counts upwards from -6: the E2M1 code v (3 bits) with a plus sign is 8 + v, with a minus sign 7 - v. So
 * -0 (code 7) and +0 (code 8) have the same level, and a scale here is half of the E2M1 scale.
 */
export const e2m1LevelTable: LevelTable = {
  name: 'e2m1',
  levels: [0, 4, 6, 8, 9, 10, 11, 12, 12, 13, 14, 15, 16, 18, 20, 24],
  centre: 12,
};

/** FP4 with a binary16 scale for 64 weights. */
export const fp4 = /* @__PURE__ */ defineNumberFormat({
  name: 'fp4-g64',
  privateBits: 4,
  groupSize: 64,
  levelTable: e2m1LevelTable,
});

/** MXFP4 of the OCP Microscaling Formats specification 1.0: FP4 with a power of two for 32 weights. */
export const mxfp4 = /* @__PURE__ */ defineNumberFormat({
  name: 'mxfp4-g32',
  privateBits: 4,
  groupSize: 32,
  levelTable: e2m1LevelTable,
  scaleEncoding: 'e8m0',
});

/** NVFP4: FP4 with an FP8 scale for 16 weights and a float32 scale of the tensor. */
export const nvfp4 = /* @__PURE__ */ defineNumberFormat({
  name: 'nvfp4-g16',
  privateBits: 4,
  groupSize: 16,
  levelTable: e2m1LevelTable,
  scaleEncoding: 'e4m3',
});
