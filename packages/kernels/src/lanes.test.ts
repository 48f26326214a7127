import { describe, expect, it } from 'vitest';
import { compileAssembly } from './fixtures/compile-assembly.js';
import { hasRelaxedSimd } from './simd.js';

const source = `
import { dotInt8, truncate } from './lanes';

export function dot(a: usize, b: usize, sums: usize): void {
  v128.store(sums, dotInt8(v128.load(a), v128.load(b)));
}

export function truncateAll(values: usize): void {
  v128.store(values, truncate(v128.load(values)));
}
`;

const variants = hasRelaxedSimd()
  ? [{ relaxedSimd: false }, { relaxedSimd: true }]
  : [{ relaxedSimd: false }];

describe.each(variants)('lanes, %o', (variant) => {
  it('dotInt8 is exact for every pair of operands', async () => {
    const { exports, memory } = await compileAssembly(source, variant);
    const [a, b, sums] = [
      new Int8Array(memory.buffer, 1024, 16),
      new Uint8Array(memory.buffer, 1040, 16),
      1056,
    ];
    for (let first = -128; first < 128; first++) {
      for (let second = 0; second < 128; second += 8) {
        // Each pair meets itself, the greatest sums among them, and another.
        for (let lane = 0; lane < 16; lane++) {
          a[lane] = lane % 4 === 3 ? -1 - first : first;
          b[lane] = second + (lane >> 1);
        }
        exports['dot']!(1024, 1040, sums);
        const found = new Int16Array(memory.buffer, sums, 8);
        const exact = found.map((_, i) => a[2 * i]! * b[2 * i]! + a[2 * i + 1]! * b[2 * i + 1]!);
        expect(found).toEqual(exact);
      }
    }
  });

  it('truncate is exact for whole numbers', async () => {
    const { exports, memory } = await compileAssembly(source, variant);
    const whole = [0, -0, 1, -1, 151, -151, 2 ** 24, -(2 ** 24), 2 ** 31 - 128, -(2 ** 31), 126, -126];
    for (let i = 0; i < whole.length; i += 4) {
      new Float32Array(memory.buffer, 1024, 4).set(whole.slice(i, i + 4));
      exports['truncateAll']!(1024);
      expect([...new Int32Array(memory.buffer, 1024, 4)]).toEqual(
        whole.slice(i, i + 4).map((value) => value | 0),
      );
    }
  });
});
