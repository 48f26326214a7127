// Trained by benchmarks/scripts/train-level-tables.mjs on the weights of datasets/reference-lm.
// `level - centre` fits a signed byte, which kernels look up.

import type { LevelTable } from './level-table.js';

/** Lloyd-Max levels of 3 bits for weights with a scale for 64 of them, no bits shared. */
export const lloydLevelTable3: LevelTable = {
  name: 'lloyd-3',
  levels: [12, 56, 88, 115, 141, 168, 200, 244],
  centre: 128,
};

/** The same of 4 bits. */
export const lloydLevelTable4: LevelTable = {
  name: 'lloyd-4',
  levels: [3, 31, 52, 69, 84, 97, 110, 122, 134, 146, 159, 172, 187, 204, 225, 253],
  centre: 128,
};

/**
 * Lloyd-Max levels for 2 private bits, where two shared bits choose one of four interleaved codebooks for 16 weights:
 * each codebook has the levels that are best where it is chosen. One level is zero.
 */
export const sharedLloydLevelTable4: LevelTable = {
  name: 'shared-lloyd-4',
  levels: [20, 21, 56, 71, 84, 95, 112, 128, 133, 151, 161, 179, 186, 220, 220, 250],
  centre: 128,
};

/** The same for 3 private bits. */
export const sharedLloydLevelTable5: LevelTable = {
  name: 'shared-lloyd-5',
  levels: [
    7, 24, 41, 47, 54, 64, 74, 80, 84, 91, 100, 105, 108, 115, 122, 128, 131, 137, 144, 150, 154, 160, 167,
    175, 179, 187, 195, 204, 211, 225, 230, 253,
  ],
  centre: 128,
};

/** The same for 4 private bits. */
export const sharedLloydLevelTable6: LevelTable = {
  name: 'shared-lloyd-6',
  levels: [
    9, 23, 30, 37, 41, 46, 52, 56, 60, 64, 68, 71, 75, 78, 82, 85, 87, 90, 94, 97, 99, 102, 105, 108, 109,
    112, 115, 118, 119, 122, 125, 128, 129, 132, 135, 138, 139, 142, 145, 148, 150, 153, 156, 158, 161, 164,
    168, 170, 173, 176, 180, 182, 186, 189, 194, 197, 201, 205, 211, 217, 220, 226, 235, 248,
  ],
  centre: 128,
};
