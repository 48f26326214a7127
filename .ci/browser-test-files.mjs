import { readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join, posix } from 'node:path';
import ts from 'typescript';
import { nodeOnlyFolders as allNodeOnlyFolders } from './layers.mjs';
import { listFiles, readWorkspace, repositoryRoot } from './workspace.mjs';

/**
 * The tests of the packages, parted by where they can run. A test runs in browsers too unless it, or a file that it
 * imports, imports one of Node's modules or code that is for Node only: nothing has to be listed by hand, and a test that
 * needs no file is held in both places from the start.
 *
 * @returns {{ portable: string[], nodeOnly: { file: string, imports: string }[] }} paths relative to the root, with slashes
 */
export function partTests(root = repositoryRoot, nodeOnlyFolders = allNodeOnlyFolders) {
  const portable = [];
  const nodeOnly = [];
  const published = readWorkspace(root).filter(({ manifest }) => !manifest.private);
  for (const file of published.flatMap(({ folder }) => listFiles(root, folder))) {
    if (!file.endsWith('.test.ts')) continue;
    const imports = findNodeImport(root, file, nodeOnlyFolders, new Set());
    if (imports === undefined) portable.push(file);
    else nodeOnly.push({ file, imports });
  }
  return { portable, nodeOnly };
}

/** The first import, of the file or of what it imports, that a browser has not; undefined where there is none. */
function findNodeImport(root, file, nodeOnlyFolders, seen) {
  if (seen.has(file)) return undefined;
  seen.add(file);
  const nodeOnlyFolder = nodeOnlyFolders.find((folder) => file.startsWith(`${folder}/`));
  if (nodeOnlyFolder !== undefined) return nodeOnlyFolder;
  const text = readIfSource(join(root, file));
  for (const { fileName: specifier } of ts.preProcessFile(text, true, true).importedFiles) {
    if (isBuiltin(specifier)) return specifier;
    const inner = specifier.startsWith('.')
      ? findNodeImport(root, sourceOf(file, specifier), nodeOnlyFolders, seen)
      : nodeOnlyFolders.map((folder) => entryOf(folder)).find((entry) => entry === specifier);
    if (inner !== undefined) return inner;
  }
  return undefined;
}

/** `packages/model-loaders/src/node` is what `@lbs/model-loaders/node` gives, `datasets` what `@lbs/datasets` gives. */
function entryOf(folder) {
  return `@lbs/${folder.replace('packages/', '').replace('/src/', '/')}`;
}

function sourceOf(file, specifier) {
  return posix.join(posix.dirname(file), specifier).replace(/\.js$/, '.ts');
}

/** Empty for what holds no imports: vectors, and generated files that are not there yet. */
function readIfSource(path) {
  if (!/\.[cm]?[jt]s$/.test(path)) return '';
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return '';
    throw error;
  }
}
