import { expect, test } from 'vitest';
import { ablationTables, verdicts } from './ablation-report.js';
import type { AblationResults, AblationRow } from './benchmark-results.js';
import { markdownTable } from './table.js';

const row = (part: string, instead: string | null, worth: AblationRow['worth']): AblationRow => ({
  name: `${part}-${instead}`,
  part,
  instead,
  bitsPerWeight: 3.4,
  salientBitsPerWeight: 0.068,
  bytes: 4_000_000,
  perplexity: { value: 50.123, stderr: 1 },
  kld: { value: 0.0261, stderr: 0.0003, p99: 0.1, topAgreement: 0.881 },
  worth,
});
const results: AblationResults = {
  preset: 'lbs-3',
  steps: [row('private bits only', null, null), row('Top-K', null, { value: 0.2, stderr: 0.01 })],
  alternatives: [
    row('Top-K', 'smaller groups', { value: 0.2, stderr: 0.01 }),
    row('Top-K', 'more shared bits', { value: 0.05, stderr: 0.01 }),
    row('sharing', 'smaller groups', { value: -0.05, stderr: 0.01 }),
    row('score', 'another one', { value: -0.012, stderr: 0.01 }),
  ],
};

test('a part is judged by the best of what stands against it', () => {
  expect(verdicts(results)).toEqual([
    '- Top-K: pays (+0.05 ± 0.01 bits a weight against more shared bits).',
    '- sharing: does not pay (−0.05 ± 0.01 bits a weight against smaller groups).',
    '- score: neither pays nor costs (−0.01 ± 0.01 bits a weight against another one).',
    '- The salient weights of `lbs-3` take 0.068 of its 3.400 bits, 2.0 %.',
  ]);
});

test('the tables show each step, and the preset before its alternatives', () => {
  const { columns, steps, alternatives } = ablationTables(results);
  expect(markdownTable(columns, steps).split('\n').slice(2)).toEqual([
    '| private bits only | 3.400 | 0.068 | 50.12 | 0.0261 ± 0.0003 | 88.1 % | – |',
    '| + Top-K | 3.400 | 0.068 | 50.12 | 0.0261 ± 0.0003 | 88.1 % | +0.20 ± 0.01 |',
  ]);
  expect(alternatives.map(({ title }) => title)).toEqual([
    '`lbs-3`',
    'smaller groups instead of Top-K',
    'more shared bits instead of Top-K',
    'smaller groups instead of sharing',
    'another one instead of score',
  ]);
});
