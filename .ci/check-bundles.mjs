/**
 * Bundles the packages as a web page would, from what they built, and prints what the files weigh that it loads. Fails where a bundle needs
 * one of Node's modules, or is over its budget (bundle-budgets.mjs).
 *
 *     node .ci/check-bundles.mjs
 */
import { readFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { bundles, otherwiseLoaded } from './bundle-budgets.mjs';
import { isProgram } from './is-program.mjs';
import { repositoryRoot } from './workspace.mjs';

/** The command depends on every package, so it sees them all as a user does. */
const resolveDir = join(repositoryRoot, 'packages/cli');

/** Also finds an import that code catches, which is no error to a bundler but fails on the page. */
const refuseBuiltins = {
  name: 'refuse-builtins',
  setup: ({ onResolve }) =>
    onResolve({ filter: /^/ }, ({ path }) =>
      isBuiltin(path) ? { errors: [{ text: `imports ${path}, which is a module of Node` }] } : undefined,
    ),
};

/** Takes the numbers out of level tables, which grow with every number format, so that code can have a limit of its own. */
const emptyTables = {
  name: 'empty-tables',
  setup: ({ onLoad }) =>
    onLoad({ filter: /[\\/]packages[\\/].*\.js$/ }, async ({ path }) => {
      const code = await readFile(path, 'utf8');
      return { contents: code.replace(/\[(\s*-?[\d.]+,){7,}\s*-?[\d.]+,?\s*\]/g, '[]') };
    }),
};

/**
 * @typedef {object} Bundle
 * @property {string} name
 * @property {string} code what a page imports, as source text
 * @property {number} budget greatest gzipped size in bytes
 * @property {boolean} [withoutTables] leaves the numbers of tables out
 * @property {string[]} [absent] ends of the paths of files of which nothing may be in the bundle
 */

/**
 * Sizes in bytes, and what is wrong with the bundle.
 * @param {Bundle} bundle
 * @returns {Promise<{ minified: number, gzipped: number, problems: string[] }>}
 */
export async function measureBundle({ code, budget, withoutTables = false, absent = [] }) {
  try {
    const { outputFiles, metafile } = await build({
      stdin: { contents: code, resolveDir },
      bundle: true,
      splitting: true,
      outdir: resolveDir,
      minify: true,
      format: 'esm',
      platform: 'browser',
      target: 'es2022',
      plugins: withoutTables ? [refuseBuiltins, emptyTables] : [refuseBuiltins],
      legalComments: 'none',
      metafile: true,
      logLevel: 'silent',
      write: false,
    });
    const inputsOf = ({ path }) =>
      Object.entries(metafile.outputs).flatMap(([output, { inputs }]) =>
        resolve(output) === path ? Object.entries(inputs) : [],
      );
    const endsWithOneOf = (path, ends) => ends.some((end) => path.endsWith(end));
    const loaded = outputFiles.filter(
      (file) => !inputsOf(file).some(([path]) => endsWithOneOf(path, otherwiseLoaded)),
    );
    const sum = (sizeOf) => loaded.reduce((total, { contents }) => total + sizeOf(contents), 0);
    const minified = sum((contents) => contents.length);
    const gzipped = sum((contents) => gzipSync(contents, { level: 9 }).length);
    const over = `over its budget of ${kilobytes(budget)} by ${gzipped - budget} bytes`;
    const unwanted = outputFiles
      .flatMap(inputsOf)
      .filter(([path, { bytesInOutput }]) => bytesInOutput > 0 && endsWithOneOf(path, absent))
      .map(([path]) => `holds ${path}, which it does not use`);
    return { minified, gzipped, problems: [...(gzipped > budget ? [over] : []), ...unwanted] };
  } catch (error) {
    if (error.errors === undefined) throw error;
    return { minified: Number.NaN, gzipped: Number.NaN, problems: error.errors.map(describe) };
  }
}

function describe({ text, location }) {
  return location === null ? text : `${location.file}:${location.line}: ${text}`;
}

function kilobytes(bytes) {
  return `${(bytes / 1000).toFixed(1)} kB`;
}

if (isProgram(import.meta)) {
  const row = (name, ...cells) => `${name.padEnd(20)}${cells.map((cell) => cell.padStart(10)).join('')}`;
  console.log(`${row('bundle', 'minified', 'gzipped', 'budget')}  result`);
  for (const bundle of bundles) {
    const { minified, gzipped, problems } = await measureBundle(bundle);
    const result = problems.length === 0 ? 'good' : `problems: ${problems.length}`;
    console.log(`${row(bundle.name, ...[minified, gzipped, bundle.budget].map(kilobytes))}  ${result}`);
    for (const problem of problems) console.log(`  ${problem}`);
    if (problems.length > 0) process.exitCode = 1;
  }
}
