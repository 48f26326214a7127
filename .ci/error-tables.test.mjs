import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import * as format from '../packages/format/dist/index.js';
import { listFiles, repositoryRoot } from './workspace.mjs';

const read = (path) => readFileSync(join(repositoryRoot, path), 'utf8');

/** Class name and code of every error that the packages throw on purpose. */
const errors = Object.entries(format)
  .filter(([, value]) => typeof value === 'function' && Object.getPrototypeOf(value) === format.LbsError)
  .map(([name, ErrorClass]) => [name, new ErrorClass('').code]);

/** The first two columns of the table in a README. */
function tableOf(folder) {
  const [, table] = read(`${folder}/README.md`).split('\n## Errors\n');
  return [...table.matchAll(/^\| `(\w+)` \| `(\w+)` \|/gm)].map(([, name, code]) => [name, code]);
}

/** Names of the error classes that the sources of a package throw. */
function thrownBy(folder) {
  const sources = listFiles(repositoryRoot, `${folder}/src`).filter((path) => /(?<!\.test)\.ts$/.test(path));
  const names = sources.flatMap((path) =>
    [...read(path).matchAll(/new (\w+Error)\(/g)].map(([, name]) => name),
  );
  return [...new Set(names)].filter((name) => name in format);
}

test('every cause has a class and a code of its own', () => {
  expect(errors.length).toBeGreaterThan(5);
  expect(new Set(errors.map(([, code]) => code)).size).toBe(errors.length);
  for (const [name, code] of errors) {
    expect(
      `LBS_${name
        .replace(/Error$/, '')
        .replace(/(?<=.)[A-Z]/g, '_$&')
        .toUpperCase()}`,
    ).toBe(code);
  }
});

test('the README of format has every error', () => {
  expect(tableOf('packages/format')).toEqual(errors);
});

describe.each(['packages/format', 'packages/model-loaders'])('the README of %s', (folder) => {
  test('has the codes of the classes', () => {
    expect(errors).toEqual(expect.arrayContaining(tableOf(folder)));
  });

  test('has every error that its sources throw', () => {
    expect(tableOf(folder).map(([name]) => name)).toEqual(expect.arrayContaining(thrownBy(folder)));
  });
});
