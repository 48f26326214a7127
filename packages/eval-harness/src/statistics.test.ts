import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  covarianceOfMeans,
  indexOfMaximum,
  meanWithStandardError,
  percentile,
  shareWithStandardError,
} from './statistics.js';

describe('statistics', () => {
  it('gives a mean and its standard error', () => {
    // Values 1, 2, 3, 6: mean 3, sum of squares 14, 14 / 4 / 3.
    const { value, stderr } = meanWithStandardError([1, 2, 3, 6]);
    expect(value).toBe(3);
    expect(stderr).toBeCloseTo(Math.sqrt(14 / 12), 14);
  });

  it('knows no error of a single value', () => {
    expect(meanWithStandardError([4])).toEqual({ value: 4, stderr: Number.NaN });
  });

  it('computes the error of a share as that of the zeros and ones', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 2, maxLength: 50 }), (outcomes) => {
        const share = shareWithStandardError(outcomes.filter(Boolean).length, outcomes.length);
        expect(share.stderr).toBeCloseTo(meanWithStandardError(outcomes.map(Number)).stderr, 12);
      }),
    );
  });

  it('finds the variance of a mean as its covariance with itself', () => {
    const values = Float64Array.of(1, 2, 3, 6);
    expect(covarianceOfMeans(values, values)).toBeCloseTo(14 / 12, 14);
    expect(covarianceOfMeans(values, Float64Array.of(5, 5, 5, 5))).toBe(0);
  });

  it('interpolates percentiles', () => {
    const sorted = Float64Array.of(0, 10, 20, 40);
    expect([0, 0.5, 0.9, 1].map((fraction) => percentile(sorted, fraction))).toEqual([0, 15, 34, 40]);
    expect(percentile(Float64Array.of(1, Infinity, Infinity), 0.75)).toBe(Infinity);
  });

  it('breaks ties for the first maximum', () => {
    expect(indexOfMaximum([-3, -1, -1, -2])).toBe(1);
    expect(indexOfMaximum([0, 0])).toBe(0);
  });
});
