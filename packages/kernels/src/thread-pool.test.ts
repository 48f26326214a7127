import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cutRange } from './thread-pool.js';

describe('cutRange', () => {
  it('covers everything once, in steps, and no more finely than it was asked to', () => {
    fc.assert(
      fc.property(
        fc.nat(5000),
        fc.constantFrom(1, 4, 16),
        fc.nat(1000),
        fc.integer({ min: 1, max: 32 }),
        fc.integer({ min: 1, max: 1e5 }),
        (count, step, work, parts, leastWork) => {
          const ranges = cutRange(count, { step, work, parts, leastWork });
          expect(ranges.length).toBeLessThanOrEqual(parts);
          let place = 0;
          for (const [first, end] of ranges) {
            expect(first).toBe(place);
            expect(first % step).toBe(0);
            expect(end).toBeGreaterThan(first);
            if (end < count) expect((end - first) * work).toBeGreaterThanOrEqual(leastWork);
            place = end;
          }
          expect(place).toBe(count);
        },
      ),
    );
  });

  it('keeps whole what is little', () => {
    const options = { step: 1, parts: 8, leastWork: 100 };
    expect(cutRange(19, { ...options, work: 10 })).toEqual([[0, 19]]);
    expect(cutRange(20, { ...options, work: 10 })).toEqual([
      [0, 10],
      [10, 20],
    ]);
  });
});
