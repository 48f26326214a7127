/**
 * Prints the counts of test runs, `N passed, N failed, N skipped`, summed from vitest's JSON results. Needs no installed
 * package, so that there is a line even where the installation failed.
 *
 *     node .ci/closing-line.mjs <results.json> ...
 */
import { readFileSync } from 'node:fs';
import { isProgram } from './is-program.mjs';

/** The line for the results of one or more runs; a run that left none, undefined, counts as one failure. */
export function closingLine(...runs) {
  const counts = runs.map(countTests);
  const sum = (kind) => counts.reduce((total, count) => total + count[kind], 0);
  return `${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped`;
}

function countTests(results) {
  if (results === undefined) return { passed: 0, failed: 1, skipped: 0 };
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = results;
  // A file that does not load has no failed test of its own, and must not count as nothing.
  const unloaded = testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  );
  return {
    passed: numPassedTests,
    failed: numFailedTests + unloaded.length,
    skipped: numPendingTests + numTodoTests,
  };
}

if (isProgram(import.meta)) {
  const runs = process.argv.slice(2).map(readResults);
  console.log(closingLine(...runs));
  process.exitCode = runs.includes(undefined) ? 1 : 0;
}

function readResults(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    console.error(`no results of a test run: ${error.message}`);
    return undefined;
  }
}
