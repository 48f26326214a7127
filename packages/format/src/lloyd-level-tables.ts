// Trained by packages/quantizer/scripts/train-level-tables.mjs.

import type { LevelTable } from './level-table.js';

/** Lloyd-Max levels for normally distributed weights with a scale for 64, no bits shared, 3 bits. */
export const lloydLevelTable3: LevelTable = {
  name: 'lloyd-3',
  levels: [0, 25, 42, 57, 70, 85, 102, 127],
  centre: 63.5,
};

/** The same for 4 bits. */
export const lloydLevelTable4: LevelTable = {
  name: 'lloyd-4',
  levels: [0, 15, 26, 34, 42, 48, 55, 61, 66, 72, 79, 85, 93, 101, 112, 127],
  centre: 63.5,
};

/**
 * The same for 3 private bits, where two shared bits choose one of four interleaved
 * codebooks for 16 weights.
 */
export const lloydLevelTable5: LevelTable = {
  name: 'lloyd-5',
  levels: [
    0, 11, 18, 24, 27, 32, 36, 40, 42, 45, 49, 52, 54, 57, 60, 62, 65, 67, 70, 73, 75, 78, 82, 85, 87, 91, 95,
    100, 103, 109, 116, 127,
  ],
  centre: 63.5,
};

/** The same for 4 private bits. */
export const lloydLevelTable6: LevelTable = {
  name: 'lloyd-6',
  levels: [
    0, 7, 12, 16, 19, 20, 24, 27, 29, 30, 32, 35, 36, 37, 39, 41, 42, 44, 46, 47, 48, 50, 51, 52, 54, 55, 56,
    58, 59, 60, 61, 63, 64, 66, 67, 68, 69, 71, 72, 73, 75, 76, 77, 79, 80, 81, 83, 85, 86, 88, 90, 91, 92,
    95, 97, 98, 100, 103, 107, 108, 111, 115, 120, 127,
  ],
  centre: 63.5,
};
