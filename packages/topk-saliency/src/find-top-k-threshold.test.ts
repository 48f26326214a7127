import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { findTopKThreshold } from './find-top-k-threshold.js';
import type { SalientAmount } from './salient-amount.js';
import { BoundaryHistogram, ScoreHistogram } from './score-histogram.js';
import { selectByThreshold, type TopKThreshold } from './top-k-threshold.js';

/** The top K of all tensors by a stable sort, as indices of each. */
function selectBySorting(tensors: readonly Float32Array[], k: number): number[][] {
  const all = tensors.flatMap((scores, tensor) =>
    Array.from(scores, (score, index) => ({ score, tensor, index })),
  );
  const top = all.sort((a, b) => b.score - a.score || a.tensor - b.tensor || a.index - b.index).slice(0, k);
  return tensors.map((_, tensor) =>
    top
      .filter((one) => one.tensor === tensor)
      .map(({ index }) => index)
      .sort((a, b) => a - b),
  );
}

function selectInOrder(tensors: readonly Float32Array[], threshold: TopKThreshold) {
  let next = threshold;
  const selected = tensors.map((scores) => {
    const selection = selectByThreshold(scores, next);
    next = selection.next;
    return [...selection.selected];
  });
  return { selected, next };
}

const score = fc.oneof(
  fc.float({ min: 0, noNaN: true, noDefaultInfinity: true }),
  fc.integer({ min: 0, max: 2 }),
  fc.integer({ min: 0, max: 20 }).map((steps) => 1 + steps * 2 ** -23),
  fc.constantFrom(0, -0, 2 ** -149),
);
const someTensors = fc.array(
  fc.array(score, { maxLength: 60 }).map((values) => Float32Array.from(values)),
  { maxLength: 6 },
);
const sizeOf = (tensors: readonly Float32Array[]) => tensors.reduce((sum, { length }) => sum + length, 0);

describe('findTopKThreshold', () => {
  test('selects over all tensors what sorting their scores would', async () => {
    await fc.assert(
      fc.asyncProperty(someTensors, fc.nat(), async (tensors, seed) => {
        const k = seed % (sizeOf(tensors) + 1);
        const threshold = await findTopKThreshold(() => tensors, { count: k });
        const { selected, next } = selectInOrder(tensors, threshold);
        expect(selected).toEqual(selectBySorting(tensors, k));
        expect(next.ties).toBe(0);
      }),
      { numRuns: 200 },
    );
  });

  test('reads tensors that come one after the other', async () => {
    async function* scores() {
      yield Float32Array.of(1, 5);
      yield Float32Array.of(4, 2);
    }
    expect(await findTopKThreshold(scores, { fraction: 0.5 })).toEqual({ score: 4, ties: 1 });
  });

  test.each<[string, SalientAmount, TopKThreshold]>([
    ['a fraction', { fraction: 0.25 }, { score: 3, ties: 2 }],
    ['bits', { bits: 100, cost: 18 }, { score: 2, ties: 3 }],
    ['none', { count: 0 }, { score: 3.4028234663852886e38, ties: 0 }],
    ['all', { count: 8 }, { score: 1, ties: 2 }],
  ])('takes %s', async (_, amount, threshold) => {
    const tensors = [Float32Array.of(1, 2, 3, 2), Float32Array.of(3, 2, 2, 1)];
    expect(await findTopKThreshold(() => tensors, amount)).toEqual(threshold);
  });

  test('refuses passes that differ', async () => {
    let pass = 0;
    const scores = () => [Float32Array.of(1, 2, pass++)];
    await expect(findTopKThreshold(scores, { count: 2 })).rejects.toThrow(/second pass met 2 .* first 1/);
  });

  test('refuses more than there is, scores that are not valid, and passes errors on', async () => {
    await expect(findTopKThreshold(() => [Float32Array.of(1)], { count: 2 })).rejects.toThrow(/from 0 to 1/);
    await expect(findTopKThreshold(() => [Float32Array.of(1, -1)], { count: 1 })).rejects.toThrow(
      /at index 1 /,
    );
    const failing = () => {
      throw new Error('the source is gone');
    };
    await expect(findTopKThreshold(failing, { count: 1 })).rejects.toThrow('the source is gone');
  });
});

describe('histograms', () => {
  test('of parts add up to that of the whole, also when copied to another thread', () => {
    fc.assert(
      fc.property(someTensors, fc.nat(), (tensors, seed) => {
        const k = seed % (sizeOf(tensors) + 1);
        const whole = new ScoreHistogram();
        const first = new ScoreHistogram();
        for (const scores of tensors) whole.add(scores);
        for (const scores of tensors.toReversed()) {
          const part = new ScoreHistogram();
          part.add(scores);
          first.merge(structuredClone(part));
        }
        expect(first.total).toBe(whole.total);
        const boundary = first.boundary(k);
        expect(boundary).toEqual(whole.boundary(k));
        const second = new BoundaryHistogram(boundary);
        const together = new BoundaryHistogram(boundary);
        for (const scores of tensors) together.add(scores);
        for (const scores of tensors.toReversed()) {
          const part = new BoundaryHistogram(structuredClone(boundary));
          part.add(scores);
          second.merge(structuredClone(part));
        }
        expect(second.threshold()).toEqual(together.threshold());
        expect(selectInOrder(tensors, second.threshold()).selected).toEqual(selectBySorting(tensors, k));
      }),
      { numRuns: 30 },
    );
  });

  test('add nothing of scores that are not valid', () => {
    const histogram = new ScoreHistogram();
    expect(() => histogram.add(Float32Array.of(1, Number.NaN))).toThrow(/at index 1 /);
    expect(histogram.total).toBe(0);
  });

  test('of different passes do not add up', () => {
    const first = new ScoreHistogram();
    const second = new BoundaryHistogram(first.boundary(0));
    expect(() => first.merge(second)).toThrow(/65536 bins does not add to one of 32768/);
  });
});

describe('selectByThreshold', () => {
  test('goes on from a threshold that was JSON in between', () => {
    const tensors = [Float32Array.of(0.1, 0.1), Float32Array.of(0.1, 0.3), Float32Array.of(0.1)];
    let threshold: TopKThreshold = { score: Math.fround(0.1), ties: 3 };
    const selected = tensors.map((scores) => {
      const selection = selectByThreshold(scores, threshold);
      threshold = JSON.parse(JSON.stringify(selection.next));
      return [...selection.selected];
    });
    expect(selected).toEqual([[0, 1], [0, 1], []]);
  });

  test('takes a threshold of -0 as 0', () => {
    expect([...selectByThreshold(Float32Array.of(0, -0, 1), { score: -0, ties: 1 }).selected]).toEqual([
      0, 2,
    ]);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, -1, 0.1, 1e39])('refuses the score %s', (bad) => {
    expect(() => selectByThreshold(Float32Array.of(1), { score: bad, ties: 0 })).toThrow(
      /finite float32 number/,
    );
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, -2])('does not select the score %s', (bad) => {
    expect(() => selectByThreshold(Float32Array.of(3, bad, 1), { score: 1, ties: 1 })).toThrow(/at index 1 /);
  });

  test.each([-1, 0.5, Number.NaN])('refuses %s ties', (ties) => {
    expect(() => selectByThreshold(Float32Array.of(1), { score: 1, ties })).toThrow(/ties are/);
  });
});
