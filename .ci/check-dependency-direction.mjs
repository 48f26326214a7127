/**
 * Checks that dependencies between the packages point one way (see layers.mjs), that a package imports only what its
 * own manifest declares, that no relative import leaves its package, that tsconfig references say the same as the
 * manifest, and that code for browsers imports none of Node's modules.
 *
 *     node .ci/check-dependency-direction.mjs
 */
import { readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join, posix } from 'node:path';
import ts from 'typescript';
import { isProgram } from './is-program.mjs';
import { layers as allLayers, nodeOnlyFolders as allNodeOnlyFolders } from './layers.mjs';
import { listFiles, readJsonWithComments, readWorkspace, repositoryRoot } from './workspace.mjs';

/**
 * @typedef {object} Problem
 * @property {string} file relative to the root
 * @property {number} line from 1
 * @property {string} what
 * @property {string} mend what to do about it
 */

/** All problems of the workspace at `root`, ordered by package. @returns {Problem[]} */
export function findProblems(root, layers = allLayers, nodeOnlyFolders = allNodeOnlyFolders) {
  const workspace = readWorkspace(root);
  const context = {
    root,
    layers,
    nodeOnlyFolders,
    byName: new Map(workspace.map((pkg) => [pkg.manifest.name, pkg])),
    rootTools: Object.keys(
      JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).devDependencies ?? {},
    ),
  };
  return workspace.flatMap((pkg) => {
    if (layers[pkg.shortName] === undefined) {
      const mend = 'say in .ci/layers.mjs what it may import';
      return [{ file: `${pkg.folder}/package.json`, line: 1, what: `${pkg.shortName} has no layer`, mend }];
    }
    return [
      ...manifestProblems(pkg, context),
      ...referenceProblems(pkg, context),
      ...importProblems(pkg, context),
    ];
  });
}

function* manifestProblems(pkg, context) {
  for (const name of declaredNames(pkg.manifest)) {
    const target = context.byName.get(name);
    if (target === undefined || mayImport(pkg, target, context)) continue;
    const line = lineOf(pkg.manifestText, pkg.manifestText.indexOf(`"${name}":`));
    yield { file: `${pkg.folder}/package.json`, line, ...forbidden('declares', pkg, name, context) };
  }
}

function* referenceProblems(pkg, { root, byName }) {
  const file = `${pkg.folder}/tsconfig.json`;
  const references = readJsonWithComments(join(root, file))?.references ?? [];
  const referenced = references.map(({ path }) => posix.join(pkg.folder, path).replace(/\/$/, ''));
  const declared = declaredNames(pkg.manifest).flatMap((name) => byName.get(name)?.folder ?? []);
  for (const folder of declared.filter((folder) => !referenced.includes(folder))) {
    const path = posix.relative(pkg.folder, folder);
    yield {
      file,
      line: 1,
      what: `lacks a reference to ${folder}, which package.json declares`,
      mend: `add { "path": "${path}" }`,
    };
  }
  for (const folder of referenced.filter((folder) => !declared.includes(folder))) {
    const mend = 'drop the reference, or declare the package in package.json';
    yield { file, line: 1, what: `references ${folder}, which package.json does not declare`, mend };
  }
}

function* importProblems(pkg, context) {
  for (const file of listFiles(context.root, pkg.folder).filter((path) => /\.[cm]?[jt]s$/.test(path))) {
    const text = readFileSync(join(context.root, file), 'utf8');
    for (const { fileName: specifier, pos } of ts.preProcessFile(text, true, true).importedFiles) {
      const problem = importProblem(pkg, file, specifier, context);
      if (problem !== undefined) yield { file, line: lineOf(text, pos), ...problem };
    }
  }
}

function importProblem(pkg, file, specifier, context) {
  if (specifier.startsWith('.')) return relativeImportProblem(pkg, file, specifier);
  const shipped = isShipped(pkg, file);
  if (isBuiltin(specifier)) return shipped ? builtinProblem(file, specifier, context) : undefined;
  const name = packageName(specifier);
  const target = context.byName.get(name);
  // A test may go through its own package's front door.
  if (target === pkg && !shipped) return undefined;
  if (target === pkg)
    return { what: `imports its own package ${name}`, mend: 'import the file by its relative path' };
  if (target !== undefined && !mayImport(pkg, target, context))
    return forbidden('imports', pkg, name, context);
  const known = shipped ? runtimeNames(pkg.manifest) : [...declaredNames(pkg.manifest), ...context.rootTools];
  if (known.includes(name)) return undefined;
  const list = shipped ? 'dependencies' : 'devDependencies';
  return {
    what: `imports ${name}, which is not in its ${list}`,
    mend: `add it to "${list}" in ${pkg.folder}/package.json`,
  };
}

function relativeImportProblem(pkg, file, specifier) {
  const target = posix.join(posix.dirname(file), specifier);
  if (target.startsWith(`${pkg.folder}/`)) return undefined;
  return { what: `imports ${specifier}, a file of another package`, mend: 'import that package by its name' };
}

function builtinProblem(file, specifier, { nodeOnlyFolders }) {
  if (nodeOnlyFolders.some((folder) => file.startsWith(`${folder}/`))) return undefined;
  const mend = `use a web API, take what it gives as an argument, or move the code to one of: ${nodeOnlyFolders.join(', ')}`;
  return { what: `imports ${specifier}, but this code also runs in browsers`, mend };
}

function forbidden(verb, pkg, name, { layers }) {
  const allowed = layers[pkg.shortName].join(', ') || 'no other package';
  const mend = `take what it gives as an argument, or move the code; ${pkg.shortName} may import: ${allowed} (.ci/layers.mjs)`;
  return { what: `${verb} ${name}, against the direction of dependencies`, mend };
}

function mayImport(pkg, target, { layers }) {
  return layers[pkg.shortName].includes(target.shortName);
}

/** True for what reaches a user: sources, but neither tests nor their fixtures nor the package's own scripts. */
function isShipped(pkg, file) {
  const isSource = ['src', 'assembly'].some((folder) => file.startsWith(`${pkg.folder}/${folder}/`));
  return isSource && !/\.test\.|\/fixtures\//.test(file);
}

function runtimeNames({ dependencies, peerDependencies, optionalDependencies }) {
  return Object.keys({ ...dependencies, ...peerDependencies, ...optionalDependencies });
}

function declaredNames(manifest) {
  return [...runtimeNames(manifest), ...Object.keys(manifest.devDependencies ?? {})];
}

/** `@scope/name/sub/path` is a path inside `@scope/name`. */
function packageName(specifier) {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
}

function lineOf(text, position) {
  return text.slice(0, position).split('\n').length;
}

if (isProgram(import.meta)) {
  const problems = findProblems(repositoryRoot);
  for (const { file, line, what, mend } of problems)
    console.error(`${file}:${line}: ${what}\n  mend: ${mend}`);
  console.log(problems.length === 0 ? 'Dependencies point one way.' : `Problems: ${problems.length}`);
  process.exitCode = problems.length === 0 ? 0 : 1;
}
