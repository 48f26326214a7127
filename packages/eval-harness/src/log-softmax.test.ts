import { describe, expect, it } from 'vitest';
import { summarizeRows } from './log-softmax.js';

describe('summarizeRows', () => {
  it('sums exponentials per row', () => {
    const { logSumExp, argmax } = summarizeRows(Float32Array.of(0, 0, 0, 0, 1, 2, 3, 4), 4);
    expect(logSumExp[0]).toBeCloseTo(Math.log(4), 14);
    expect(logSumExp[1]).toBeCloseTo(Math.log(Math.E + Math.E ** 2 + Math.E ** 3 + Math.E ** 4), 14);
    expect([...argmax]).toEqual([0, 3]);
  });

  it('takes the first of equal maxima', () => {
    expect(summarizeRows(Float32Array.of(1, 5, 5, 2), 4).argmax[0]).toBe(1);
  });

  it('neither overflows nor underflows', () => {
    const { logSumExp } = summarizeRows(Float32Array.of(10000, 10000, -10000, -10000), 2);
    expect(logSumExp[0]).toBeCloseTo(10000 + Math.LN2, 10);
    expect(logSumExp[1]).toBeCloseTo(-10000 + Math.LN2, 10);
  });

  it('adds up a large vocabulary in double precision', () => {
    expect(summarizeRows(new Float32Array(49_152), 49_152).logSumExp[0]).toBeCloseTo(Math.log(49_152), 13);
  });

  it('lets tokens be excluded', () => {
    expect(summarizeRows(Float32Array.of(-Infinity, 2, -Infinity), 3).logSumExp[0]).toBe(2);
  });

  it.each([
    ['NaN', [1, Number.NaN, 2]],
    ['infinity', [1, Infinity, 2]],
    ['nothing but negative infinity', [-Infinity, -Infinity, -Infinity]],
  ])('reports %s', (_, row) => {
    expect(() => summarizeRows(Float32Array.from([0, 0, 0, ...row]), 3)).toThrowError(
      /not finite \(row 1 of 2\)/,
    );
  });
});
