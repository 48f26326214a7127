/**
 * Prints the counts of a test run, `N passed, N failed, N skipped`, from vitest's JSON results. Needs no installed
 * package, so that there is a line even where the installation failed.
 *
 *     node .ci/closing-line.mjs <results.json>
 */
import { readFileSync } from 'node:fs';
import { isProgram } from './is-program.mjs';

/** The line for a results object; undefined, where no test ran at all, counts as one failure. */
export function closingLine(results) {
  if (results === undefined) return '0 passed, 1 failed, 0 skipped';
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = results;
  // A file that does not load has no failed test of its own, and must not count as nothing.
  const unloaded = testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  );
  const failed = numFailedTests + unloaded.length;
  return `${numPassedTests} passed, ${failed} failed, ${numPendingTests + numTodoTests} skipped`;
}

if (isProgram(import.meta)) {
  const results = readResults(process.argv[2]);
  console.log(closingLine(results));
  process.exitCode = results === undefined ? 1 : 0;
}

function readResults(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    console.error(`no results of a test run: ${error.message}`);
    return undefined;
  }
}
