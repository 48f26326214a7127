import { createFormatRegistry, dequantize, numberFormats } from '@lbs/format';
import { createKernels } from '@lbs/kernels';
import { expect, test } from 'vitest';
import { normalWeights } from '../fixtures/normal-weights.js';
import { roundToNearest } from './round-to-nearest.js';

/**
 * Signal-to-noise ratio, in dB, that a format reaches at least on normally distributed weights. A bit is worth 6.02 dB; a
 * Lloyd-Max quantizer of b bits reaches 4.40, 9.30, 14.62, 20.22 dB, and scales for small groups add to that.
 */
const leastDecibels: Readonly<Record<string, number>> = {
  'int8-g64': 44.8,
  'int7-g64': 38.8,
  'int6-g64': 32.6,
  'int5-g64': 26.4,
  'int4-g64': 20.3,
  'int4-g128': 19.8,
  'int3-g64': 14.3,
  'int2-g64': 8.3,
  'int8-zp-g64': 45.7,
  'int7-zp-g64': 39.6,
  'int6-zp-g64': 33.5,
  'int5-zp-g64': 27.3,
  'int4-zp-g64': 21.1,
  'int3-zp-g64': 15,
  'int2-zp-g64': 9,
  'int4-zp-g128': 20.3,
  'int4-fine-zp-g64': 21.6,
  'int3-fine-zp-g64': 15.4,
  'int2-fine-zp-g64': 9.6,
  'ternary-g64': 7.2,
  'binary-g64': 4.4,
  'nf4-g64': 21.2,
  'iq4nl-g32': 22,
  'lloyd4-g64': 21.5,
  'lloyd3-g64': 15.3,
  'fp4-g64': 20.1,
  'mxfp4-g32': 18.7,
  'nvfp4-g16': 21.2,
  'lbs-b4-s2x8-g64-shared-lloyd-6': 23.8,
  'lbs-b3-s2x8-g64-shared-lloyd-5': 17.7,
  'lbs-b2-s2x8-g64-shared-lloyd-4': 11.6,
  'lbs-b6-s2x8-g64-linear-8': 34.4,
  'lbs-b5-s2x8-g64-linear-7': 28.4,
  'lbs-b4-s2x8-g64-linear-6': 22.4,
  'lbs-b3-s2x8-g64-linear-5': 16.7,
  'lbs-b2-s2x8-g64-linear-4': 11.2,
  'lbs-b1-s2x8-g64-linear-3': 5.6,
  'lbs-b6-s1x16-g64-linear-7': 33.2,
  'lbs-b5-s1x16-g64-linear-6': 27.2,
  'lbs-b4-s1x16-g64-linear-5': 21.2,
  'lbs-b3-s1x16-g64-linear-4': 15.4,
  'lbs-b2-s1x16-g64-linear-3': 10,
  'lbs-b1-s1x16-g64-linear-2': 4.6,
  'lbs-b5-s3x16-g64-linear-8': 27.8,
  'lbs-b4-s3x16-g64-linear-7': 21.9,
  'lbs-b3-s3x16-g64-linear-6': 16.1,
  'lbs-b2-s3x16-g64-linear-5': 10.6,
  'lbs-b1-s3x16-g64-linear-4': 5,
};

const kernels = await createKernels();
const rows = 128;
const columns = 256;

const weights = normalWeights(rows * columns);
const formats = createFormatRegistry();

test.each(Object.entries(leastDecibels))('%s reaches %f dB on normal weights', (name, least) => {
  const restored = dequantize(
    roundToNearest.solve({ weights, rows, columns, format: formats.get(name), kernels }),
  );
  let noise = 0;
  let signal = 0;
  for (const [i, weight] of weights.entries()) {
    noise += (weight - restored[i]!) ** 2;
    signal += weight ** 2;
  }
  const decibels = 10 * Math.log10(signal / noise);
  expect(decibels).toBeGreaterThan(least);
  // A line that promises too little would guard nothing.
  expect(decibels).toBeLessThan(least + 0.5);
});

test('every format has its line', () => {
  expect(Object.keys(leastDecibels).sort()).toEqual(numberFormats.map(({ name }) => name).sort());
});
