import { expect, test } from 'vitest';
import { ablationTables, verdicts } from './ablation-report.js';
import type { AblationResults, AblationRow } from './benchmark-results.js';
import { markdownTable } from './table.js';

const row = (part: string | null, instead: string | null, worth: AblationRow['worth']): AblationRow => ({
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
  steps: [row('private bits only', null, null), row('sharing', null, { value: 0.2, stderr: 0.01 })],
  comparisons: [
    {
      title: '`lbs-3`',
      whole: row(null, null, null),
      alternatives: [
        row('sharing', 'smaller groups', { value: 0.2, stderr: 0.01 }),
        row('sharing', 'more private bits', { value: 0.05, stderr: 0.01 }),
        row('the table', 'even levels', { value: -0.012, stderr: 0.01 }),
      ],
    },
    {
      title: 'INT3 with Top-K',
      whole: row(null, null, null),
      alternatives: [row('Top-K', 'smaller groups', { value: -0.05, stderr: 0.01 })],
    },
  ],
};

test('a part is judged by the best of what stands against it', () => {
  expect(verdicts(results)).toEqual([
    '- `lbs-3`: sharing pays (+0.05 ± 0.01 bits a weight against more private bits).',
    '- `lbs-3`: the table neither pays nor costs (−0.01 ± 0.01 bits a weight against even levels).',
    '- INT3 with Top-K: Top-K does not pay (−0.05 ± 0.01 bits a weight against smaller groups).',
  ]);
});

test('the tables show each step, and each recipe before its alternatives', () => {
  const { columns, steps, comparisons } = ablationTables(results);
  expect(markdownTable(columns, steps).split('\n').slice(2)).toEqual([
    '| private bits only | 3.400 | 0.068 | 50.12 | 0.0261 ± 0.0003 | 88.1 % | – |',
    '| + sharing | 3.400 | 0.068 | 50.12 | 0.0261 ± 0.0003 | 88.1 % | +0.20 ± 0.01 |',
  ]);
  expect(comparisons.map(({ title }) => title)).toEqual([
    '`lbs-3`',
    '→ smaller groups instead of sharing',
    '→ more private bits instead of sharing',
    '→ even levels instead of the table',
    'INT3 with Top-K',
    '→ smaller groups instead of Top-K',
  ]);
});
