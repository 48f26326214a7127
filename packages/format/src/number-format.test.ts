import { describe, expect, test } from 'vitest';
import { doubledLevels, integerLevelTable, linearLevelTable } from './level-table.js';
import { bitsPerWeight, defineNumberFormat, denseBytes, rowLayout } from './number-format.js';
import { createFormatRegistry, int4, lbs3, lbs4, lbsFormat, numberFormats } from './number-formats.js';

describe('number formats', () => {
  test('rates follow from the declaration', () => {
    const rate = (format: typeof int4, columns: number) =>
      (8 * denseBytes(format, 10, columns)) / (10 * columns);
    expect(rate(int4, 256)).toBe(4 + 16 / 64);
    expect(rate(lbs4, 256)).toBe(4 + 2 / 8 + 8 / 64 + 16 / 256);
    expect(rate(lbs3, 768)).toBe(3 + 2 / 8 + 8 / 64 + 16 / 768);
  });

  test('short last units, blocks and groups are counted', () => {
    expect(rowLayout(lbs4, 100)).toEqual({
      units: 2,
      packedBytes: 64,
      blocks: 13,
      sharedBytes: 4,
      groups: 2,
      scaleBytes: 2,
      scaleBaseBytes: 2,
      zeroPointBytes: 0,
    });
  });

  test('integers have a zero, the linear table is a symmetric grid without one', () => {
    expect([...doubledLevels(integerLevelTable(3))]).toEqual([-8, -6, -4, -2, 0, 2, 4, 6]);
    expect([...doubledLevels(linearLevelTable(2))]).toEqual([-3, -1, 1, 3]);
  });

  test('doubled levels of a format are all odd or all even, which makes rounding to them exact', () => {
    for (const { levelTable } of numberFormats) {
      const parities = new Set([...doubledLevels(levelTable)].map((level) => Math.abs(level % 2)));
      expect(parities.size).toBe(1);
    }
  });

  test('the named formats have systematic names', () => {
    for (const { name, groupSize } of numberFormats) expect(name).toMatch(new RegExp(`-g${groupSize}\\b`));
  });

  test('LBS formats follow from their numbers: b = 1..6, s = 1..3, g = 4..32', () => {
    for (const privateBits of [1, 2, 3, 4, 5, 6]) {
      for (const sharedBits of [1, 2, 3].filter((s) => privateBits + s <= 8)) {
        for (const sharingBlock of [4, 8, 16, 32]) {
          const format = lbsFormat({ privateBits, sharedBits, sharingBlock });
          expect(format.name).toBe(
            `lbs-b${privateBits}-s${sharedBits}x${sharingBlock}-g64-linear-${privateBits + sharedBits}`,
          );
          expect(bitsPerWeight(format, 8, 1024)).toBe(
            privateBits + sharedBits / sharingBlock + 8 / 64 + 16 / 1024,
          );
        }
      }
    }
  });

  test('level tables of shared formats are evenly spaced and symmetric, or have a zero and fit a signed byte', () => {
    for (const { levelTable, sharedBits, privateBits } of numberFormats) {
      if (sharedBits === 0) continue;
      const doubled = [...doubledLevels(levelTable)];
      if (levelTable.levels.every((level, code) => level === code)) {
        expect(doubled).toEqual(doubled.map((level) => -level).reverse());
      } else {
        expect(privateBits).toBeLessThanOrEqual(4);
        expect(doubled).toContain(0);
        expect(doubled.every((level) => level % 2 === 0 && level >= -256 && level <= 254)).toBe(true);
      }
    }
  });

  test.each([
    [{ privateBits: 9, groupSize: 64 }, /private bits/],
    [{ privateBits: 6, sharedBits: 3, groupSize: 64 }, /shared bits/],
    [{ privateBits: 4, groupSize: 40 }, /multiple of 16/],
    [{ privateBits: 3, sharedBits: 1, sharingBlock: 24, groupSize: 64 }, /must divide/],
    [{ privateBits: 2, groupSize: 64, levelTable: linearLevelTable(3) }, /needs 4 levels/],
    [{ privateBits: 1, groupSize: 64, levelTable: { name: 'x', levels: [3, 2], centre: 3 } }, /not descend/],
    [
      { privateBits: 1, groupSize: 64, levelTable: { name: 'x', levels: [0, 1], centre: 0.3 } },
      /multiple of 0.5/,
    ],
    [{ privateBits: 4, groupSize: 64, zeroPoint: true }, /centre must be 0, not 7.5/],
    [{ privateBits: 4, groupSize: 64, scaleEncoding: 'toString' as never }, /unknown scale encoding/],
    [{ privateBits: Number.NaN, groupSize: 64, levelTable: linearLevelTable(1) }, /private bits/],
  ])('a declaration that does not fit is refused: %o', (options, message) => {
    expect(() => defineNumberFormat({ name: 'mine', ...options })).toThrow(message);
  });

  test('a registry holds own formats beside those of the package', () => {
    const mine = defineNumberFormat({ name: 'int2-g32', privateBits: 2, groupSize: 32 });
    const registry = createFormatRegistry([mine]);
    expect(registry.get('int2-g32')).toBe(mine);
    expect(registry.get(lbs4.name)).toBe(lbs4);
    expect(() => registry.get('int5')).toThrow(/unknown number format "int5".*int4-g64/);
    expect(() => createFormatRegistry([int4])).toThrow(/two entries/);
  });
});
