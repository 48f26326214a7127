/**
 * Runs the tests of this package in each Node that it supports, each from the package `node`, with plain and with relaxed SIMD. Every run compares
 * 1, 2 and 4 threads. Needs what `pnpm build` builds, and some minutes. Arguments are passed on to vitest.
 *
 *     pnpm --filter @lbs/kernels test:nodes [arguments of vitest]
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const repositoryRoot = fileURLToPath(new URL('../../..', import.meta.url));

/** Where an engine has relaxed SIMD, the tests of what it is used in run with plain SIMD too. */
const runs = [
  { node: 20, simd: 'plain', flags: [] },
  { node: 20, simd: 'plain and relaxed', flags: ['--experimental-wasm-relaxed-simd'] },
  { node: 22, simd: 'plain and relaxed', flags: [] },
  { node: 24, simd: 'plain and relaxed', flags: [] },
];

const folder = mkdtempSync(join(tmpdir(), 'lbs-nodes-'));
try {
  for (const { node, simd, flags } of runs) {
    const outputFile = join(folder, 'results.json');
    rmSync(outputFile, { force: true });
    const vitest = [
      ...['node', 'node_modules/vitest/vitest.mjs', 'run', '--config', '.config/vitest.config.ts'],
      ...['--reporter=json', `--outputFile=${outputFile}`, ...flags.map((flag) => `--execArgv=${flag}`)],
      ...[...process.argv.slice(2), 'packages/kernels/'],
    ];
    const { status } = spawnSync('npm', ['exec', '--yes', `--package=node@${node}`, '--', ...vitest], {
      cwd: repositoryRoot,
      stdio: ['ignore', 'ignore', 'inherit'],
      shell: process.platform === 'win32',
    });
    console.log(`Node ${node}, ${simd} SIMD: ${describe(outputFile)}`);
    if (status !== 0) process.exitCode = 1;
  }
} finally {
  rmSync(folder, { recursive: true });
}

/** The counts of a run, and what failed in it. */
function describe(outputFile) {
  const results = readResults(outputFile);
  if (!results) return 'gave no results';
  const { numPassedTests, numFailedTests, numPendingTests, testResults } = results;
  const failed = testResults.flatMap(({ name, message, status, assertionResults }) => {
    const tests = assertionResults.filter((test) => test.status === 'failed');
    if (status === 'failed' && tests.length === 0) return [`${name}: ${message}`];
    return tests.map((test) => `${test.fullName}: ${test.failureMessages.join(' ')}`);
  });
  const counts = `${numPassedTests} passed, ${numFailedTests} failed, ${numPendingTests} skipped`;
  return [counts, ...failed].join('\n  ');
}

function readResults(outputFile) {
  try {
    return JSON.parse(readFileSync(outputFile, 'utf8'));
  } catch {
    return undefined;
  }
}
