import { expect, test } from 'vitest';
import { closingLine } from './closing-line.mjs';

const counts = {
  numPassedTests: 12,
  numFailedTests: 0,
  numPendingTests: 2,
  numTodoTests: 1,
  testResults: [],
};

test('counts come from the results, and tests still to be written count as skipped', () => {
  expect(closingLine(counts)).toBe('12 passed, 0 failed, 3 skipped');
});

test('a file that does not load counts as a failure, a failed test counts once', () => {
  const testResults = [
    { status: 'failed', assertionResults: [] },
    { status: 'failed', assertionResults: [{ status: 'passed' }, { status: 'failed' }] },
    { status: 'passed', assertionResults: [{ status: 'passed' }] },
  ];
  expect(closingLine({ ...counts, numFailedTests: 1, testResults })).toBe('12 passed, 2 failed, 3 skipped');
});

test('no results at all are a failure', () => {
  expect(closingLine(undefined)).toBe('0 passed, 1 failed, 0 skipped');
});

test('runs are summed, and one without results is a failure beside the others', () => {
  expect(closingLine(counts, counts)).toBe('24 passed, 0 failed, 6 skipped');
  expect(closingLine(counts, undefined)).toBe('12 passed, 1 failed, 3 skipped');
});
