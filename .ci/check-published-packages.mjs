/**
 * Packs every package as `pnpm publish` would and checks what a user would install: publint in its strict mode, the
 * types of every entry point as ES modules see them, and the list of files. Needs built packages.
 *
 *     node .ci/check-published-packages.mjs
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { problemAffectsResolutionKind } from '@arethetypeswrong/core/problems';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { isProgram } from './is-program.mjs';
import { readWorkspace, repositoryRoot } from './workspace.mjs';

const run = promisify(execFile);
/** pnpm tells the scripts it runs where it is itself, so it need not be on the path. */
const pnpm = process.env.npm_execpath ?? 'pnpm';
/** The packages are ES modules only; how `require` and the resolution of Node 10 see them does not matter. */
const resolutionKinds = ['node16-esm', 'bundler'];

/** What is wrong with a list of packed paths such as `dist/index.js`, one line each. */
export function fileProblems(paths) {
  const missing = ['package.json', 'README.md', 'LICENSE'].filter((path) => !paths.includes(path));
  const unwanted = paths.filter((path) => /\.test\.|(^|\/)fixtures\/|\.tsbuildinfo$/.test(path));
  return [...missing.map((path) => `lacks ${path}`), ...unwanted.map((path) => `holds ${path}`)];
}

async function publintProblems(tarball) {
  const { messages, pkg } = await publint({ pack: { tarball: tarball.buffer }, strict: true });
  return messages.map((message) => `publint: ${formatMessage(message, pkg, { color: false })}`);
}

async function typeProblems(unpacked) {
  const analysis = await checkPackage(unpacked);
  if (!analysis.types) return ['has no types'];
  return analysis.problems
    .filter((problem) =>
      resolutionKinds.some((kind) => problemAffectsResolutionKind(problem, kind, analysis)),
    )
    .map((problem) => {
      const { kind, entrypoint, fileName, typesFileName, resolutionKind } = problem;
      return `types: ${kind} at ${entrypoint ?? fileName ?? typesFileName}, ${resolutionKind ?? 'all resolutions'}`;
    });
}

async function checkPublished({ folder, manifest }, destination) {
  const out = join(destination, `${folder.split('/').at(-1)}.tgz`);
  await run(pnpm, ['--silent', 'pack', '--out', out], { cwd: join(repositoryRoot, folder) });
  const tarball = new Uint8Array(await readFile(out));
  const unpacked = createPackageFromTarballData(tarball);
  const prefix = `/node_modules/${manifest.name}/`;
  const paths = unpacked.listFiles().map((file) => file.slice(prefix.length));
  // A package with commands and nothing to import has no types to check.
  const hasEntries = Object.keys(manifest.exports).some((entry) => entry !== './package.json');
  const problems = [
    ...fileProblems(paths),
    ...(await publintProblems(tarball)),
    ...(hasEntries ? await typeProblems(unpacked) : []),
  ];
  return { name: manifest.name, files: paths.length, packedBytes: tarball.length, problems };
}

if (isProgram(import.meta)) {
  const destination = await mkdtemp(join(tmpdir(), 'lbs-packed-'));
  try {
    const reports = [];
    for (const pkg of readWorkspace(repositoryRoot)) {
      if (!pkg.manifest.private) reports.push(await checkPublished(pkg, destination));
    }
    printReports(reports);
    process.exitCode = reports.every((report) => report.problems.length === 0) ? 0 : 1;
  } finally {
    await rm(destination, { recursive: true });
  }
}

function printReports(reports) {
  console.log(`${'package'.padEnd(22)}${'files'.padStart(6)}${'packed'.padStart(12)}  result`);
  for (const { name, files, packedBytes, problems } of reports) {
    const size = `${(packedBytes / 1024).toFixed(1)} KiB`;
    const result = problems.length === 0 ? 'good' : `problems: ${problems.length}`;
    console.log(`${name.padEnd(22)}${String(files).padStart(6)}${size.padStart(12)}  ${result}`);
    for (const problem of problems) console.log(`  ${problem}`);
  }
}
