import { readFileSync } from 'node:fs';
import {
  createFormatRegistry,
  decodeScales,
  defineNumberFormat,
  dequantize,
  fineZeroPointFormat,
  int4,
  lbs4,
  type NumberFormat,
  spacedLevelTable,
  zeroPointFormat,
} from '@lbs/format';
import { createKernels } from '@lbs/kernels';
import { describe, expect, test } from 'vitest';
import { float32Of } from '../fixtures/base64.js';
import { normalWeights } from '../fixtures/normal-weights.js';
import { halfQuadraticZeroPoints, hqq } from './hqq.js';

/** A matrix of fixtures/hqq.json; scripts/make-hqq-vectors.py tells what its fields hold. */
interface Vector {
  readonly kind: string;
  readonly bits: number;
  readonly rows: number;
  readonly columns: number;
  readonly weights: string;
  readonly scales: string;
  readonly zeroPoints: string;
}

const vectors: readonly Vector[] = JSON.parse(
  readFileSync(new URL('../fixtures/hqq.json', import.meta.url), 'utf8'),
);
const kernels = await createKernels();

/** Levels `spacing` apart, so that zero-points are stored in fractions of a step. */
function spacedFormat(bits: number, spacing: number): NumberFormat {
  const levelTable = spacedLevelTable(bits, spacing);
  return defineNumberFormat({
    name: levelTable.name,
    privateBits: bits,
    groupSize: 64,
    levelTable,
    zeroPoint: true,
  });
}

describe.each(vectors.map((vector) => [vector.bits, vector.kind, vector] as const))(
  'HQQ with %i bits, %s',
  (_bits, _kind, { bits, rows, columns, ...vector }) => {
    const weights = float32Of(vector.weights);
    const scales = float32Of(vector.scales);
    const zeroPoints = float32Of(vector.zeroPoints);

    test('fits the zero-points of the NumPy implementation', () => {
      const format = zeroPointFormat(bits);
      const groups = scales.length / rows;
      const start = Float64Array.from(scales, (scale, group) => {
        const row = Math.floor(group / groups) * columns;
        const from = row + (group % groups) * format.groupSize;
        const members = weights.subarray(from, Math.min(from + format.groupSize, row + columns));
        return scale > 0 ? -Math.min(0, ...members) / scale : 0;
      });
      const fitted = halfQuadraticZeroPoints(
        { weights, rows, columns, format },
        Float64Array.from(scales),
        start,
      );
      for (const [i, expected] of zeroPoints.entries()) expect(fitted[i]).toBeCloseTo(expected, 4);
    });

    test.each([1, 8].filter((spacing) => spacing * (2 ** bits - 1) <= 255))(
      'stores them and the scales where levels are %i apart',
      (spacing) => {
        const matrix = hqq.solve({ weights, rows, columns, format: spacedFormat(bits, spacing), kernels });
        expect(decodeScales(matrix)).toEqual(scales.map((scale) => scale / spacing));
        for (const [i, zeroPoint] of zeroPoints.entries()) {
          const exact = Math.min(Math.max(spacing * zeroPoint, 0), 255);
          expect(Math.abs(matrix.zeroPoints![i]! - exact)).toBeLessThan(0.501);
        }
      },
    );
  },
);

function meanError(weights: Float32Array, restored: Float32Array): number {
  return weights.reduce((sum, weight, i) => sum + Math.abs(weight - restored[i]!), 0) / weights.length;
}

const rows = 64;
const columns = 256;
const weights = normalWeights(rows * columns);

test('rounds weights to the nearest level at its scales and zero-points', () => {
  const format = spacedFormat(4, 8);
  const matrix = hqq.solve({ weights, rows, columns, format, kernels });
  const restored = dequantize(matrix);
  const scales = decodeScales(matrix);
  for (const [i, weight] of weights.entries()) {
    const group = Math.floor(i / format.groupSize);
    const values = format.levelTable.levels.map(
      (level) => scales[group]! * (level - matrix.zeroPoints![group]!),
    );
    const least = Math.min(...values.map((value) => Math.abs(weight - value)));
    expect(Math.abs(weight - restored[i]!)).toBeLessThanOrEqual(least + 1e-6);
  }
});

test('zero-points in quarters of a step are closer than integers', () => {
  const errorIn = (format: NumberFormat) =>
    meanError(weights, dequantize(hqq.solve({ weights, rows, columns, format, kernels })));
  expect(errorIn(fineZeroPointFormat(4))).toBeLessThan(0.96 * errorIn(zeroPointFormat(4)));
});

test('gives salient weights their residuals', () => {
  const outlying = weights.slice();
  outlying[300] = 40;
  const salient = Uint32Array.of(300);
  const input = { weights: outlying, rows, columns, format: spacedFormat(4, 8), kernels };
  const restored = dequantize(hqq.solve({ ...input, salient }));
  expect(restored[300]).toBeCloseTo(40, 0);
  expect(meanError(outlying, restored)).toBeLessThan(meanError(outlying, dequantize(hqq.solve(input))));
});

test('stores scales relative to a base where the format does', () => {
  const format = defineNumberFormat({ ...spacedFormat(4, 8), name: 'log8', scaleEncoding: 'log8' });
  const restored = dequantize(hqq.solve({ weights, rows, columns, format, kernels }));
  const asFloat16 = dequantize(hqq.solve({ weights, rows, columns, format: spacedFormat(4, 8), kernels }));
  expect(meanError(weights, restored)).toBeLessThan(1.05 * meanError(weights, asFloat16));
});

test.each([int4, lbs4, createFormatRegistry().get('nf4-g64')])(
  'refuses $name, which has no zero-points',
  (format) => {
    expect(() => hqq.solve({ weights, rows, columns, format, kernels })).toThrow(
      /"hqq".*zero-points.*int4-fine-zp-g64/s,
    );
  },
);
