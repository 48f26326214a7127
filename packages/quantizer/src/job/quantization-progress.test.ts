import { expect, test } from 'vitest';
import { ProgressTracker, type QuantizationProgress } from './quantization-progress.js';

function tracker(weights: number, blocks: number) {
  let milliseconds = 5000;
  let last: QuantizationProgress | undefined;
  const report = (progress: QuantizationProgress) => {
    last = progress;
  };
  const progress = new ProgressTracker(weights, blocks, report, () => milliseconds);
  return {
    progress,
    pass: (seconds: number) => {
      milliseconds += 1000 * seconds;
    },
    left() {
      progress.tell({ stage: 'measuring' });
      return last!;
    },
  };
}

test('without blocks, what is left is in proportion to the weights of this run', () => {
  const { progress, pass, left } = tracker(100, 0);
  progress.resumed({ weights: 40, blocks: 0 });
  expect(left()).toMatchObject({ weightsDone: 40, weightsTotal: 100, secondsLeft: undefined });
  progress.solve(20, () => pass(6));
  expect(left()).toMatchObject({ weightsDone: 60, elapsedSeconds: 6, secondsLeft: 12 });
});

test('with blocks, every block has its share of everything else', () => {
  const { progress, pass, left } = tracker(100, 4);
  progress.beginBlock();
  pass(2);
  progress.solve(20, () => pass(10));
  expect(left().secondsLeft).toBeUndefined();
  pass(1);
  progress.endBlock();
  // 80 weights at half a second, and 3 seconds for each of 3 blocks.
  expect(left().secondsLeft).toBe(40 + 9);
  progress.beginBlock();
  pass(2);
  expect(left().secondsLeft).toBe(40 + 7);
  progress.solve(20, () => pass(10));
  expect(left().secondsLeft).toBe(30 + 7);
  pass(100);
  expect(left().secondsLeft).toBe(30);
});
