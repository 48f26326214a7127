import { describe, expect, test } from 'vitest';
import type { CalibrationBlock } from './calibration-model.js';
import { attentionWeighting, firstPositionWeighting, uniformWeighting } from './token-weighting.js';

const sequence = { hidden: new Float32Array(12), input: new Float32Array(12) };

const blockThatReceives = (...received: number[]): CalibrationBlock => ({
  stages: [{ modules: ['q'], columns: 4 }],
  begin() {},
  advance() {},
  replaceWeights() {},
  release() {},
  attentionReceived: () => Float32Array.from(received),
});

describe('token weighting', () => {
  const block = blockThatReceives(9, 1, 5);

  test('uniform: every token counts the same', () => {
    expect([...uniformWeighting.weights(sequence, block, 16)]).toEqual([1, 1, 1]);
  });

  test('first position: it counts so many times', () => {
    expect([...firstPositionWeighting.weights(sequence, block, 16)]).toEqual([16, 1, 1]);
  });

  test('attention received: from 1 to the greatest, in proportion', () => {
    expect([...attentionWeighting.weights(sequence, block, 9)]).toEqual([9, 1, 5]);
    expect([...attentionWeighting.weights(sequence, blockThatReceives(2, 2, 2), 9)]).toEqual([1, 1, 1]);
  });
});
