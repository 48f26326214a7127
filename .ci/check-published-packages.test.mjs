import { expect, test } from 'vitest';
import { fileProblems } from './check-published-packages.mjs';

test('a package needs its manifest, its README and its licence', () => {
  const paths = ['package.json', 'README.md', 'LICENSE', 'dist/index.js', 'src/latest.ts'];
  expect(fileProblems(paths)).toEqual([]);
  expect(fileProblems(['package.json'])).toEqual(['lacks README.md', 'lacks LICENSE']);
});

test('tests, fixtures and build notes are not for publishing', () => {
  const unwanted = ['src/a.test.ts', 'src/fixtures/a.bin', 'fixtures/b.json', 'dist/.tsbuildinfo'];
  const paths = ['package.json', 'README.md', 'LICENSE', ...unwanted];
  expect(fileProblems(paths)).toEqual(unwanted.map((path) => `holds ${path}`));
});
