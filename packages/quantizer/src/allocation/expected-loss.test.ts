import { dequantize, int4, lbs3 } from '@lbs/format';
import { createKernels } from '@lbs/kernels';
import { describe, expect, test } from 'vitest';
import { normalWeights } from '../fixtures/normal-weights.js';
import { encodeMatrix } from '../solvers/encode-matrix.js';
import { expectedLoss } from './expected-loss.js';

const kernels = await createKernels();
const columns = 64;

function inputOf(rows: number) {
  const sensitivities = [
    {
      rows: Float32Array.from({ length: rows }, (_, i) => 1 / (1 + i) ** 2),
      columns: Float32Array.from({ length: columns }, (_, j) => 1 + (j % 3)),
    },
    { rows: new Float32Array(rows).fill(1e-4), columns: new Float32Array(columns).fill(2) },
  ];
  return { weights: normalWeights(rows * columns), rows, columns, sensitivities, salientShare: 0, kernels };
}

describe.each([int4, lbs3])('in $name', (format) => {
  test('the loss of a small matrix is the sum over its errors', () => {
    const { weights, rows, sensitivities, ...rest } = inputOf(40);
    const mean = sensitivities.map((use) => use.rows.reduce((sum, share) => sum + share / rows, 0));
    const importance = Float32Array.from({ length: columns }, (_, j) =>
      sensitivities.reduce((sum, use, k) => sum + mean[k]! * use.columns[j]!, 0),
    );
    const rounded = dequantize(encodeMatrix({ weights, rows, columns, format, kernels }, { importance }));
    let expected = 0;
    for (const [i, value] of rounded.entries()) {
      for (const use of sensitivities) {
        expected +=
          (use.rows[Math.floor(i / columns)]! * use.columns[i % columns]! * (value - weights[i]!) ** 2) / 2;
      }
    }
    expect(expectedLoss(format, { weights, rows, sensitivities, ...rest }) / expected).toBeCloseTo(1, 2);
  });

  test('a sample of the rows tells that of a large one', () => {
    const input = inputOf(3000);
    // In pieces that are small enough to be tried whole.
    let expected = 0;
    for (let from = 0; from < input.rows; from += 200) {
      const rows = Math.min(200, input.rows - from);
      expected += expectedLoss(format, {
        ...input,
        rows,
        weights: input.weights.subarray(from * columns, (from + rows) * columns),
        sensitivities: input.sensitivities.map((use) => ({
          ...use,
          rows: use.rows.subarray(from, from + rows),
        })),
      });
    }
    expect(expectedLoss(format, input) / expected).toBeGreaterThan(0.9);
    expect(expectedLoss(format, input) / expected).toBeLessThan(1.1);
  });

  test('salient weights take the greatest errors away', () => {
    const input = inputOf(40);
    const [none, few, all] = [0, 0.01, 1].map((salientShare) =>
      expectedLoss(format, { ...input, salientShare }),
    );
    expect(few).toBeLessThan(0.95 * none!);
    expect(Math.abs(all!)).toBeLessThan(1e-6 * none!);
  });
});
