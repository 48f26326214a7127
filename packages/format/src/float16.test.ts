import { describe, expect, test } from 'vitest';
import {
  bfloat16FromFloat32,
  float16FromNumber,
  float32FromBfloat16,
  float32FromFloat16,
  numberFromFloat16,
} from './float16.js';

describe('binary16', () => {
  test('every finite value survives the way to a number and back', () => {
    for (let bits = 0; bits < 0x10000; bits++) {
      if ((bits & 0x7c00) === 0x7c00) continue;
      expect(float16FromNumber(numberFromFloat16(bits))).toBe(bits);
    }
  });

  test('halfway between two values goes to the even one, anything beyond to the nearer', () => {
    for (let bits = 0; bits < 0x7bff; bits++) {
      const low = numberFromFloat16(bits);
      const middle = (low + numberFromFloat16(bits + 1)) / 2;
      expect(float16FromNumber(middle)).toBe(bits + (bits & 1));
      expect(float16FromNumber(middle * (1 + 2 ** -20))).toBe(bits + 1);
      expect(float16FromNumber(middle * (1 - 2 ** -20))).toBe(bits);
    }
  });

  test('overflow, infinities and NaN', () => {
    expect(float16FromNumber(65519)).toBe(0x7bff);
    expect(float16FromNumber(65520)).toBe(0x7c00);
    expect(float16FromNumber(-1e30)).toBe(0xfc00);
    expect(numberFromFloat16(float16FromNumber(Number.NaN))).toBeNaN();
    expect(float16FromNumber(Number.NEGATIVE_INFINITY)).toBe(0xfc00);
    expect(Object.is(numberFromFloat16(0x8000), -0)).toBe(true);
    expect(float16FromNumber(2 ** -26)).toBe(0);
  });

  test('arrays convert like single values', () => {
    const bits = Uint16Array.of(0, 1, 0x3c00, 0xfbff, 0x7c00);
    expect([...float32FromFloat16(bits)]).toEqual([...bits].map(numberFromFloat16));
    expect([...float32FromBfloat16(Uint16Array.of(0x3f80, 0xc000, 0x7f80))]).toEqual([
      1,
      -2,
      Number.POSITIVE_INFINITY,
    ]);
  });
});

describe('bfloat16', () => {
  const bits = Uint16Array.from({ length: 0x10000 }, (_, i) => i);
  const values = float32FromBfloat16(bits);

  test('every value survives the way to float32 and back', () => {
    const back = bfloat16FromFloat32(values);
    for (const [i, value] of values.entries()) {
      if (Number.isNaN(value)) expect(float32FromBfloat16(back.slice(i, i + 1))[0]).toBeNaN();
      else expect(back[i]).toBe(i);
    }
  });

  test('halfway between two values goes to the even one, anything beyond to the nearer', () => {
    for (let low = 0; low < 0x7f7f; low += 7) {
      const middle = (values[low]! + values[low + 1]!) / 2;
      const spacing = values[low + 1]! - values[low]!;
      const around = Float32Array.of(middle - spacing / 8, middle, middle + spacing / 8);
      expect([...bfloat16FromFloat32(around)]).toEqual([low, low + (low & 1), low + 1]);
    }
  });

  test('overflow gives infinity', () => {
    expect([...bfloat16FromFloat32(Float32Array.of(3.4e38, -3.4028234663852886e38))]).toEqual([
      0x7f80, 0xff80,
    ]);
  });
});
