import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import type { ResultRow } from './benchmark-results.js';
import { describeEnvironment } from './environment.js';
import { columns } from './markdown-report.js';
import { writeResults } from './results-folder.js';
import { sampleItems } from './sample-items.js';
import { quantile } from './speed.js';
import { markdownTable } from './table.js';

const speed = { median: 1234.4, lowerQuartile: 1000, upperQuartile: 1300, samples: 9 };
const row = (
  format: string,
  bitsPerWeight: number,
  kld: ResultRow['kld'],
  accuracy: ResultRow['accuracy'] = null,
): ResultRow => ({
  model: 'reference-lm',
  format,
  method: format.startsWith('lbs') ? 'lbs' : 'rtn',
  salientBitsPerWeight: 0,
  bitsPerWeight,
  bytes: 4_700_000,
  perplexity: { value: 52.977, stderr: 1.031 },
  kld,
  accuracy,
  prefillTokensPerSecond: speed,
  decodeTokensPerSecond: speed,
});
const rows = [
  row('FP32', 32, null, { value: 0.536, stderr: 0.032 }),
  row('int4-g64', 4.251, { value: 0.0196, stderr: 0.0002, p99: 0.12, topAgreement: 0.889 }),
  row('lbs-4', 4.385, { value: 0.0095, stderr: 0.0001, p99: 0.06, topAgreement: 0.924 }),
];

test('the table shows every figure with its error', () => {
  expect(markdownTable(columns, rows).split('\n')).toEqual([
    '| format | bits/weight | file MB | perplexity | KL divergence | same top token | zero-shot | prefill tok/s | decode tok/s |',
    '| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |',
    '| FP32 | 32.000 | 4.70 | 52.98 ± 1.03 | – | – | 53.6 ± 3.2 % | 1234 | 1234 |',
    '| int4-g64 | 4.251 | 4.70 | 52.98 ± 1.03 | 0.0196 ± 0.0002 | 88.9 % | – | 1234 | 1234 |',
    '| lbs-4 | 4.385 | 4.70 | 52.98 ± 1.03 | 0.0095 ± 0.0001 | 92.4 % | – | 1234 | 1234 |',
  ]);
});

test('a run gets a folder with results, ablation, report and chart', async () => {
  const into = mkdtempSync(join(tmpdir(), 'lbs-results-'));
  try {
    const protocol = {
      contextLength: 256,
      chunks: 2,
      scoredTokens: 254,
      zeroShotTask: 'continuation',
      zeroShotItems: 3,
      prefillTokens: 128,
      decodeTokens: 64,
      speedRounds: 9,
      seed: 0,
    };
    const environment = describeEnvironment();
    const startedAt = '2026-01-02T03:04:05.678Z';
    const folder = await writeResults(
      { startedAt, seconds: 1, environment, protocol, rows, ablations: [], skipped: ['half of it'] },
      pathToFileURL(`${into}/`),
    );
    expect(folder.href).toMatch(/\/2026-01-02T03-04-05\/$/);
    const read = (name: string) => readFileSync(new URL(name, folder), 'utf8');
    expect(JSON.parse(read('results.json'))).toMatchObject({ machine: environment.machine, protocol, rows });
    expect(read('report.md')).toContain('| lbs-4 | 4.385 |');
    expect(read('report.md')).toContain('- Left out to save time: half of it. `pnpm bench --all` has them.');
    expect(JSON.parse(read('ablation.json'))).toMatchObject({ startedAt, ablations: [] });
    const chart = read('chart.svg');
    expect(chart).toMatch(/^<svg /);
    expect(chart).toContain('>lbs-4<');
    expect(chart).not.toContain('FP32');
  } finally {
    rmSync(into, { recursive: true });
  }
});

test('a sample depends on the seed alone, and keeps the order', () => {
  const items = [...Array(1000).keys()];
  const sample = sampleItems(items, 250, 0);
  expect(sample).toEqual(sampleItems(items, 250, 0));
  expect(sample).not.toEqual(sampleItems(items, 250, 1));
  expect(new Set(sample).size).toBe(250);
  expect(sample).toEqual([...sample].sort((a, b) => a - b));
  expect(sampleItems(items, 2000, 0)).toEqual(items);
});

test('quantiles interpolate', () => {
  expect(quantile([1, 2, 3, 4], 0.5)).toBe(2.5);
  expect(quantile([5], 0.25)).toBe(5);
  expect(quantile([1, 2, 3], 1)).toBe(3);
});
