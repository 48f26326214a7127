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
        fc.integer({ min: 2, max: 32 }),
        fc.integer({ min: 1, max: 1e5 }),
        (count, step, work, threads, leastWork) => {
          const ranges = cutRange({ count, step, work }, { threads, leastWork });
          expect(ranges.length).toBeLessThanOrEqual(4 * threads);
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
    const options = { threads: 2, leastWork: 100 };
    expect(cutRange({ count: 19, step: 1, work: 10 }, options)).toEqual([[0, 19]]);
    expect(cutRange({ count: 20, step: 1, work: 10 }, options)).toEqual([
      [0, 10],
      [10, 20],
    ]);
    expect(cutRange({ count: 39, step: 1, work: 10 }, options)).toHaveLength(2);
    expect(cutRange({ count: 40, step: 1, work: 10 }, options)).toHaveLength(4);
  });
});
