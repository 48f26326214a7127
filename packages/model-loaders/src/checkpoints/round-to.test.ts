import {
  bfloat16FromFloat32,
  float16FromFloat32,
  float32FromBfloat16,
  float32FromFloat16,
} from '@lbs/format';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { roundTo } from './round-to.js';

/** Values around every place where rounding changes its ways, and their negatives. */
const edges = [
  0,
  2 ** -26,
  2 ** -25,
  3 * 2 ** -25,
  2 ** -24,
  2 ** -15,
  2 ** -14,
  1,
  2049,
  65504,
  65519.99,
  65520,
  1e6,
  3.4e38,
];
const around = edges.flatMap((edge) => {
  const bits = new Uint32Array(Float32Array.of(edge).buffer)[0]!;
  const near = Uint32Array.from({ length: 9 }, (_, i) => Math.max(0, bits + i - 4));
  return [...new Float32Array(near.buffer)].flatMap((value) => [value, -value]);
});

const roundings = [
  ['F16', (values: Float32Array) => float32FromFloat16(float16FromFloat32(values))],
  ['BF16', (values: Float32Array) => float32FromBfloat16(bfloat16FromFloat32(values))],
  ['F32', (values: Float32Array) => values],
] as const;

test.each(roundings)('%s is what a conversion there and back gives', (dtype, convert) => {
  const check = (values: Float32Array<ArrayBuffer>) =>
    expect(roundTo(dtype, values.slice())).toEqual(convert(values));
  check(Float32Array.from([...around, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]));
  fc.assert(fc.property(fc.float32Array(), (values) => void check(Float32Array.from(values))));
  // Every bit pattern of the upper half of a float32, with a rest above, at and below the middle.
  for (const rest of [0, 1, 0x0fff, 0x1000, 0x1001, 0x2000, 0x3000, 0x7fff, 0x8000, 0x8001, 0xffff]) {
    check(new Float32Array(Uint32Array.from({ length: 65536 }, (_, high) => high * 65536 + rest).buffer));
  }
});
