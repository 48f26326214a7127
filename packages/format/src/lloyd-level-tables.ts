// Trained by benchmarks/scripts/train-level-tables.mjs on the weights of datasets/reference-lm.
// `level - centre` fits a signed byte, which kernels look up.

import type { LevelTable } from './level-table.js';

/** Lloyd-Max levels of 3 bits for weights with a scale for 64 of them, no bits shared. */
export const lloydLevelTable3: LevelTable = {
  name: 'lloyd-3',
  levels: [5, 54, 87, 115, 141, 169, 202, 251],
  centre: 128,
};

/** The same of 4 bits. */
export const lloydLevelTable4: LevelTable = {
  name: 'lloyd-4',
  levels: [3, 33, 54, 71, 86, 99, 111, 122, 134, 145, 157, 170, 185, 202, 223, 253],
  centre: 128,
};

/**
 * Lloyd-Max levels for 2 private bits, where two shared bits choose one of four interleaved codebooks for 8 weights:
 * each codebook has the levels that are best where it is chosen. One level is zero.
 */
export const sharedLloydLevelTable4: LevelTable = {
  name: 'shared-lloyd-4',
  levels: [3, 52, 52, 78, 83, 101, 112, 128, 135, 144, 160, 174, 191, 191, 224, 253],
  centre: 128,
};

/** The same for 3 private bits. */
export const sharedLloydLevelTable5: LevelTable = {
  name: 'shared-lloyd-5',
  levels: [
    12, 36, 51, 60, 65, 74, 81, 87, 92, 97, 103, 109, 113, 117, 123, 128, 131, 136, 142, 146, 151, 156, 162,
    167, 173, 178, 186, 194, 200, 210, 223, 248,
  ],
  centre: 128,
};

/** The same for 4 private bits. */
export const sharedLloydLevelTable6: LevelTable = {
  name: 'shared-lloyd-6',
  levels: [
    10, 25, 35, 43, 46, 52, 56, 61, 67, 67, 72, 76, 79, 82, 85, 88, 91, 93, 96, 99, 102, 104, 106, 109, 111,
    113, 116, 119, 120, 123, 125, 128, 129, 132, 134, 137, 139, 142, 144, 146, 149, 151, 154, 156, 159, 162,
    164, 167, 170, 173, 175, 179, 183, 186, 189, 193, 197, 201, 208, 209, 216, 224, 234, 250,
  ],
  centre: 128,
};
