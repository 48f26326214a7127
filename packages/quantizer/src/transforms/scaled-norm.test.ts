import {
  bfloat16FromFloat32,
  float16FromFloat32,
  float32FromBfloat16,
  float32FromFloat16,
} from '@lbs/format';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ScaledNorm } from './scaled-norm.js';

const types = {
  BF16: (values: Float32Array) => float32FromBfloat16(bfloat16FromFloat32(values)),
  F16: (values: Float32Array) => float32FromFloat16(float16FromFloat32(values)),
  F32: (values: Float32Array) => values,
};
const decode = {
  BF16: (bytes: Uint8Array) => float32FromBfloat16(new Uint16Array(bytes.slice().buffer)),
  F16: (bytes: Uint8Array) => float32FromFloat16(new Uint16Array(bytes.slice().buffer)),
  F32: (bytes: Uint8Array) => new Float32Array(bytes.slice().buffer),
};
type Dtype = keyof typeof types;

function norm(dtype: string, values: Float32Array): Promise<ScaledNorm> {
  const source = {
    tensorInfo: () => ({ dtype, shape: [values.length] }),
    readFloat32: async () => values,
    readBytes: async () => new Uint8Array(),
  };
  return ScaledNorm.read(source, 'norm.weight', undefined);
}

describe.each(Object.keys(types) as Dtype[])('a norm in %s', (dtype) => {
  test('keeps its type, and its product with the realized scales', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.tuple(
            fc.double({ min: -8, max: 8, noNaN: true }),
            fc.double({ min: 1e-2, max: 1e2, noNaN: true }),
          ),
          {
            minLength: 1,
          },
        ),
        async (pairs) => {
          const values = types[dtype](Float32Array.from(pairs, ([value]) => value));
          const wanted = Float32Array.from(pairs, ([, scale]) => scale);
          const scaled = await norm(dtype, values);
          const realized = scaled.realize(wanted);
          const stored = scaled.dividedBy(realized);
          expect(stored).toMatchObject({ name: 'norm.weight', dtype, shape: [values.length] });
          for (const [i, quotient] of decode[dtype](stored.bytes).entries()) {
            expect(realized[i]).toBeGreaterThan(0);
            expect(Math.abs(quotient * realized[i]! - values[i]!)).toBeLessThanOrEqual(
              2 ** -22 * Math.abs(values[i]!),
            );
          }
        },
      ),
    );
  });

  test('realizes scales up to its rounding', async () => {
    const scales = Float32Array.of(0.3, 7, 1.7);
    const realized = (await norm(dtype, Float32Array.of(1, -2, 0.5))).realize(scales);
    for (const [i, scale] of scales.entries()) expect(realized[i]! / scale).toBeCloseTo(1, 2);
  });

  test('takes any scale for an element of zero, and none beyond its range', async () => {
    const huge = dtype === 'F16' ? 6e4 : 3e38;
    const scaled = await norm(dtype, types[dtype](Float32Array.of(0, huge)));
    const realized = scaled.realize(Float32Array.of(1e-3, 1e-3));
    expect([...realized]).toEqual([Math.fround(1e-3), 1]);
    const [zero, whole] = decode[dtype](scaled.dividedBy(realized).bytes);
    expect(zero).toBe(0);
    expect(whole! / huge).toBeCloseTo(1, 2);
  });
});

test('other types become F32', async () => {
  const scaled = await norm('Q8_0', Float32Array.of(1, 2));
  expect(scaled.dividedBy(Float32Array.of(2, 2))).toMatchObject({ dtype: 'F32' });
});
