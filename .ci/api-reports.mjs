/**
 * Writes the public interface of every published package, one report for each entry point or command, to `api/` in its
 * folder.
 * The reports are committed, so that a review sees a change of what users depend on. Needs built packages.
 *
 *     node .ci/api-reports.mjs            writes
 *     node .ci/api-reports.mjs --check    writes nothing, and fails with the difference where a report is not up to date
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { Extractor, ExtractorConfig } from '@microsoft/api-extractor';
import { commandReport } from './command-report.mjs';
import { isProgram } from './is-program.mjs';
import { readWorkspace, repositoryRoot } from './workspace.mjs';

/** Name of an entry point's report without its ending: `.` is `index`, `./node` is `node`. */
export function reportName(entry) {
  return entry === '.' ? 'index' : entry.slice(2).replaceAll('/', '-');
}

/** Entry points with types, from a manifest's `exports`. @returns {{ name: string, types: string }[]} */
export function entryPoints({ exports }) {
  return Object.entries(exports)
    .filter(([, conditions]) => conditions.types !== undefined)
    .map(([entry, { types }]) => ({ name: reportName(entry), types }));
}

/** Names of a report's exports that have no doc comment. */
export function undocumentedExports(report) {
  const declaration =
    /^\/\/ @public \(undocumented\)\nexport (?:abstract )?(?:class|const|function|interface|type) (\w+)/gm;
  return [...report.matchAll(declaration)].map(([, name]) => name);
}

/** Brings one entry point's report up to date, or with `check` says how it is not. */
function reportEntry(pkg, { name, types }, check) {
  const projectFolder = join(repositoryRoot, pkg.folder);
  const reportFolder = join(projectFolder, 'api');
  if (!check) mkdirSync(reportFolder, { recursive: true });
  const config = ExtractorConfig.prepare({
    configObject: {
      projectFolder,
      mainEntryPointFilePath: join(projectFolder, types),
      compiler: { tsconfigFilePath: join(projectFolder, 'tsconfig.json') },
      apiReport: {
        enabled: true,
        includeForgottenExports: true,
        reportFileName: name,
        reportFolder,
        reportTempFolder: join(repositoryRoot, 'node_modules/.cache/api-reports', pkg.shortName),
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      newlineKind: 'lf',
      messages: {
        compilerMessageReporting: { default: { logLevel: 'error' } },
        extractorMessageReporting: {
          default: { logLevel: 'none' },
          'ae-forgotten-export': { logLevel: 'none', addToApiReportFile: true },
        },
        tsdocMessageReporting: { default: { logLevel: 'none' } },
      },
    },
    packageJsonFullPath: join(projectFolder, 'package.json'),
  });
  const messages = [];
  const { apiReportChanged, errorCount } = Extractor.invoke(config, {
    localBuild: !check,
    printApiReportDiff: check,
    messageCallback: (message) => {
      message.handled = true;
      if (message.logLevel === 'error' || message.messageId === 'console-api-report-diff')
        messages.push(message.text);
    },
  });
  if (errorCount > 0) throw new Error(`${pkg.folder}: ${messages.join('\n')}`);
  return { path: config.reportFilePath, changed: apiReportChanged, difference: messages.join('\n') };
}

/** Brings the report of a package's command up to date, or with `check` says how it is not. */
function reportCommand(pkg, name, program, check) {
  const path = join(repositoryRoot, pkg.folder, 'api', `${name}.txt`);
  const text = commandReport(join(repositoryRoot, pkg.folder, program));
  const before = existsSync(path) ? readFileSync(path, 'utf8') : '';
  const changed = text !== before;
  if (changed && !check) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
  return { path, changed, difference: lineDifference(before, text) };
}

/** Lines that only one of two texts has. */
export function lineDifference(before, after) {
  const [old, now] = [before.split('\n'), after.split('\n')];
  const gone = old.filter((line) => !now.includes(line)).map((line) => `- ${line}`);
  return [...gone, ...now.filter((line) => !old.includes(line)).map((line) => `+ ${line}`)].join('\n');
}

function* reports(pkg, check) {
  for (const entry of entryPoints(pkg.manifest)) yield reportEntry(pkg, entry, check);
  for (const [name, program] of Object.entries(pkg.manifest.bin ?? {})) {
    yield reportCommand(pkg, name, program, check);
  }
}

function run(check) {
  let changes = 0;
  for (const pkg of readWorkspace(repositoryRoot).filter(({ manifest }) => !manifest.private)) {
    for (const { path, changed, difference } of reports(pkg, check)) {
      const result = !changed ? 'up to date' : check ? 'NOT UP TO DATE' : 'written';
      console.log(`${relative(repositoryRoot, path).padEnd(44)} ${result}`);
      if (changed) changes++;
      if (changed && check) console.log(difference);
      const undocumented = changed && check ? [] : undocumentedExports(readFileSync(path, 'utf8'));
      if (undocumented.length > 0) console.log(`  exports without a comment: ${undocumented.join(', ')}`);
    }
  }
  if (!check || changes === 0) return true;
  console.log('The public interface changed. If it should, run `pnpm api` and commit the reports.');
  return false;
}

if (isProgram(import.meta)) process.exitCode = run(process.argv.includes('--check')) ? 0 : 1;
