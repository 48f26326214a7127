import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { listFiles, readJsonWithComments, readWorkspace, repositoryRoot } from './workspace.mjs';

const workspace = readWorkspace(repositoryRoot);
const published = workspace.filter((pkg) => pkg.folder.startsWith('packages/'));

describe.each(workspace)('$folder', ({ folder, shortName, manifest }) => {
  test('is named after its folder and says what it is', () => {
    expect(manifest.name).toBe(`@lbs/${shortName}`);
    expect(manifest.description).toMatch(/^.{10,160}$/);
    expect(existsSync(join(repositoryRoot, folder, 'README.md')), 'README.md').toBe(true);
  });

  test('is an ES module under the Apache licence for Node 20.19 and later', () => {
    expect(manifest).toMatchObject({ type: 'module', license: 'Apache-2.0', engines: { node: '>=20.19' } });
  });

  test('takes versions of other packages from the catalog', () => {
    const { dependencies, devDependencies, peerDependencies, optionalDependencies } = manifest;
    const all = { ...dependencies, ...devDependencies, ...peerDependencies, ...optionalDependencies };
    for (const [name, version] of Object.entries(all)) {
      expect(version, name).toBe(name.startsWith('@lbs/') ? 'workspace:^' : 'catalog:');
    }
  });

  test('has tests', () => {
    expect(listFiles(repositoryRoot, folder).filter((path) => path.endsWith('.test.ts'))).not.toEqual([]);
  });
});

describe.each(published)('$folder, as it is published', ({ folder, manifest }) => {
  test('says where it comes from and that all may install it', () => {
    expect(manifest.private).toBeUndefined();
    expect(manifest.publishConfig).toEqual({ access: 'public' });
    expect(manifest.repository.directory).toBe(folder);
  });

  test('has entry points that name their types first', () => {
    const { './package.json': self, ...entries } = manifest.exports;
    expect(self).toBe('./package.json');
    expect(Object.keys(entries).length + Object.keys(manifest.bin ?? {}).length).toBeGreaterThan(0);
    for (const [entry, conditions] of Object.entries(entries)) {
      // A file that is served, not imported as code.
      if (entry.endsWith('.wasm')) continue;
      expect(Object.keys(conditions).at(0), entry).toBe('types');
      expect(Object.keys(conditions).at(-1), entry).toBe('default');
    }
  });

  test('can be tree-shaken and holds neither tests nor fixtures', () => {
    expect(manifest.sideEffects).toBe(false);
    expect(manifest.files).toEqual(expect.arrayContaining(['dist', 'src', '!**/*.test.*', '!**/fixtures']));
  });
});

test.each(['tsconfig.json', '.config/tsconfig.tests.json'])('%s covers every package', (file) => {
  const { references } = readJsonWithComments(join(repositoryRoot, file));
  const folders = references.map(({ path }) => path.replace('../', ''));
  expect(folders).toEqual(expect.arrayContaining(workspace.map((pkg) => pkg.folder)));
});

test('the lockfile works with every registry', () => {
  expect(readFileSync(join(repositoryRoot, 'pnpm-lock.yaml'), 'utf8')).not.toMatch(/https?:\/\/|tarball:/);
});
