import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { partTests } from './browser-test-files.mjs';

let root;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'lbs-parts-'));
  write('packages/format/package.json', '{ "name": "@lbs/format" }');
});
afterEach(() => rmSync(root, { recursive: true }));

test('a test that imports nothing from Node runs in browsers too', () => {
  write('packages/format/src/a.test.ts', "import fc from 'fast-check';\nimport { a } from './a.js';\n");
  write('packages/format/src/a.ts', "import { b } from './b.js';\nimport { c } from './generated/c.js';\n");
  write('packages/format/src/b.ts', "import { a } from './a.js';\n// import 'node:fs'\n");
  expect(partTests(root)).toEqual({ portable: ['packages/format/src/a.test.ts'], nodeOnly: [] });
});

test.each([
  ['its own import', "import { readFileSync } from 'node:fs';", 'node:fs'],
  ['a built-in without its prefix', "import { readFileSync } from 'fs';", 'fs'],
  ['an import of what it imports', "import './fixtures/files.js';", 'node:path'],
  ['an entry point for Node', "import '@lbs/model-loaders/node';", '@lbs/model-loaders/node'],
  ['a package for Node', "import '@lbs/datasets';", '@lbs/datasets'],
])('a test is for Node only by %s', (_, text, imports) => {
  write('packages/format/src/fixtures/files.ts', "import { join } from 'node:path';\n");
  write('packages/format/src/a.test.ts', text);
  expect(partTests(root).nodeOnly).toEqual([{ file: 'packages/format/src/a.test.ts', imports }]);
});

test('tests of code for Node are for Node only', () => {
  write('packages/model-loaders/package.json', '{ "name": "@lbs/model-loaders" }');
  const disk = 'packages/model-loaders/src/node/disk.test.ts';
  write(disk, '');
  const through = 'packages/model-loaders/src/open.test.ts';
  write(through, "import { disk } from './node/disk.js';");
  expect(partTests(root).nodeOnly).toEqual([
    { file: disk, imports: 'packages/model-loaders/src/node' },
    { file: through, imports: 'packages/model-loaders/src/node' },
  ]);
});

function write(path, content) {
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
}
