import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findProblems } from './check-dependency-direction.mjs';
import { layers } from './layers.mjs';
import { readWorkspace, repositoryRoot } from './workspace.mjs';

let root;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'lbs-layers-'));
  write('package.json', { devDependencies: { vitest: '1' } });
  writePackage('packages/format', {});
  writePackage('packages/kernels', { '@lbs/format': 'workspace:^' }, ['../format']);
});
afterEach(() => rmSync(root, { recursive: true }));

test('the layers name every package and only ever point down', () => {
  const names = Object.keys(layers);
  expect(names.toSorted()).toEqual(
    readWorkspace(repositoryRoot)
      .map((pkg) => pkg.shortName)
      .toSorted(),
  );
  for (const [name, allowed] of Object.entries(layers)) {
    for (const lower of allowed)
      expect(names.indexOf(lower), `${name} -> ${lower}`).toBeLessThan(names.indexOf(name));
  }
});

test('a tree that keeps the rules has no problems', () => {
  write('packages/kernels/src/index.ts', "import { pack } from '@lbs/format';\nexport * from './pool.js';\n");
  write(
    'packages/kernels/src/pool.ts',
    "// import '@lbs/runtime'\nexport const text = `import 'node:fs'`;\n",
  );
  write('packages/kernels/src/pool.test.ts', "import 'node:fs';\nimport 'vitest';\nimport '@lbs/kernels';\n");
  write('packages/kernels/scripts/build.mjs', "import { readFile } from 'node:fs/promises';\n");
  write('packages/kernels/dist/old.js', "import '@lbs/runtime';\n");
  expect(problems()).toEqual([]);
});

test('an upward import is named with its line and the way out', () => {
  write('packages/format/src/index.ts', "export const a = 1;\n\nimport type { Pool } from '@lbs/kernels';\n");
  expect(findProblems(root)).toEqual([
    {
      file: 'packages/format/src/index.ts',
      line: 3,
      what: 'imports @lbs/kernels, against the direction of dependencies',
      mend: 'take what it gives as an argument, or move the code; format may import: no other package (.ci/layers.mjs)',
    },
  ]);
});

test.each([
  ['a test', 'packages/format/src/a.test.ts', "import '@lbs/kernels';"],
  ['a dynamic import', 'packages/format/src/a.ts', "export const load = () => import('@lbs/kernels');"],
  ['an import type', 'packages/format/src/a.ts', "export type A = import('@lbs/kernels').Pool;"],
  ['a re-export', 'packages/format/src/a.ts', "export * from '@lbs/kernels/inner';"],
])('an upward import is found in %s', (_, file, text) => {
  write(file, text);
  expect(problems()).toEqual([`${file}:1 imports @lbs/kernels, against the direction of dependencies`]);
});

test('an upward dependency is found in the manifest', () => {
  writePackage('packages/format', { '@lbs/kernels': 'workspace:^' }, ['../kernels']);
  expect(problems()).toEqual([
    'packages/format/package.json:4 declares @lbs/kernels, against the direction of dependencies',
  ]);
});

test('what the manifest does not declare is found', () => {
  write('packages/format/src/a.ts', "import 'valibot';\nimport 'vitest';\n");
  write('packages/format/src/a.test.ts', "import 'fast-check/lib';\n");
  expect(problems().toSorted()).toEqual([
    'packages/format/src/a.test.ts:1 imports fast-check, which is not in its devDependencies',
    'packages/format/src/a.ts:1 imports valibot, which is not in its dependencies',
    'packages/format/src/a.ts:2 imports vitest, which is not in its dependencies',
  ]);
});

test('a relative import that leaves its package is found', () => {
  write('packages/kernels/src/a.test.ts', "import '../../format/src/index.js';\n");
  expect(problems()).toEqual([
    'packages/kernels/src/a.test.ts:1 imports ../../format/src/index.js, a file of another package',
  ]);
});

test('a module of Node is found in code for browsers only', () => {
  writePackage('packages/model-loaders', {});
  write('packages/model-loaders/src/node/disk.ts', "import 'node:fs';\n");
  write('packages/model-loaders/src/nodes.ts', "import 'fs';\n");
  expect(problems()).toEqual([
    'packages/model-loaders/src/nodes.ts:1 imports fs, but this code also runs in browsers',
  ]);
});

test('tsconfig references that differ from the manifest are found', () => {
  writePackage('packages/kernels', { '@lbs/format': 'workspace:^' }, ['../quantizer']);
  expect(problems()).toEqual([
    'packages/kernels/tsconfig.json:1 lacks a reference to packages/format, which package.json declares',
    'packages/kernels/tsconfig.json:1 references packages/quantizer, which package.json does not declare',
  ]);
});

test('a package without a layer is found', () => {
  writePackage('packages/extra', {});
  expect(problems()).toEqual(['packages/extra/package.json:1 extra has no layer']);
});

function problems() {
  return findProblems(root).map(({ file, line, what }) => `${file}:${line} ${what}`);
}

function writePackage(folder, dependencies, references = []) {
  write(`${folder}/package.json`, { name: `@lbs/${folder.split('/').at(-1)}`, dependencies });
  write(`${folder}/tsconfig.json`, { references: references.map((path) => ({ path })) });
}

function write(path, content) {
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content, null, 2));
}
