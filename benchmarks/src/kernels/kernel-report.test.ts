import { describe, expect, it } from 'vitest';
import {
  bandwidthShare,
  operationsPerSecond,
  ratios,
  reportRows,
  weightsPerSecond,
} from './kernel-report.js';
import type { ProductMeasurement, ShapeMeasurements } from './measure-products.js';

const seconds = (median: number) => ({
  least: median / 2,
  lowerQuartile: median / 1.5,
  median,
  upperQuartile: median * 2,
});

function product(name: string, threads: number, tokens: number, median: number): ProductMeasurement {
  const shape = { rows: 1000, columns: 2000 };
  return {
    ...{ ...shape, name, threads, tokens },
    ...{ activations: 'int8', bytes: 1e6, seconds: seconds(median) },
  };
}

const measurements: ShapeMeasurements = {
  products: [
    product('int4', 1, 1, 0.004),
    product('int4', 2, 1, 0.002),
    product('lbs4-s2x8', 1, 1, 0.005),
    product('int4', 1, 128, 0.4),
    product('int4', 2, 128, 0.25),
  ],
  bandwidth: [{ threads: 2, bytes: 4e6, seconds: seconds(0.004) }],
};

describe('what a run of the kernel benchmark says', () => {
  it('gives speeds of medians', () => {
    const [, decode, , prefill] = measurements.products;
    expect(weightsPerSecond(decode!)).toBe(1e9);
    expect(operationsPerSecond(prefill!)).toBe(1.28e9);
  });

  it('gives the share of the bandwidth of as many threads', () => {
    const rows = reportRows(measurements);
    expect(rows.map(bandwidthShare).slice(0, 2)).toEqual([Number.NaN, 0.5]);
  });

  it('compares what it has measured, and leaves out the rest', () => {
    const found = ratios(measurements).map(({ name, ofMedians }) => [name, ofMedians]);
    expect(found).toEqual([
      ['decode x int8, 2 threads: int4 of the bandwidth', 0.5],
      ['decode x int8, 1 threads: lbs4-s2x8 against int4, speed', 0.8],
      ['prefill x int8: int4 on 2 threads against 1, speed', 1.6],
    ]);
  });
});
