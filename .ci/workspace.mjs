import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

export const repositoryRoot = fileURLToPath(new URL('..', import.meta.url));

/**
 * @typedef {object} Workspace One package of the workspace.
 * @property {string} folder relative to the root, with slashes: `packages/format`
 * @property {string} shortName the folder's own name: `format`
 * @property {Record<string, any>} manifest
 * @property {string} manifestText
 */

/** Reads every package of the workspace: the folders of packages/, benchmarks and datasets. @returns {Workspace[]} */
export function readWorkspace(root) {
  const published = readdirSync(join(root, 'packages'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => `packages/${entry.name}`);
  return [...published.sort(), 'benchmarks', 'datasets'].flatMap((folder) => {
    const manifestText = readIfThere(join(root, folder, 'package.json'));
    if (manifestText === undefined) return [];
    return [
      { folder, shortName: folder.split('/').at(-1), manifest: JSON.parse(manifestText), manifestText },
    ];
  });
}

/** A JSON file with comments, or undefined where there is none. */
export function readJsonWithComments(path) {
  const text = readIfThere(path);
  return text === undefined ? undefined : ts.parseConfigFileTextToJson(path, text).config;
}

/** Paths of a folder's files, relative to `root`, with slashes; without dependencies and build outputs. */
export function listFiles(root, folder) {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (['node_modules', 'dist', '.turbo'].includes(entry.name)) return [];
    const path = join(folder, entry.name);
    return entry.isDirectory() ? listFiles(root, path) : [path.split(sep).join('/')];
  });
}

function readIfThere(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}
