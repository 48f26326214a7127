import { mkdir, writeFile } from 'node:fs/promises';
import { chartOf } from './chart.js';
import type { Environment } from './environment.js';
import { markdownReport } from './markdown-report.js';
import type { ResultRow } from './result-row.js';

/** What was measured on what, so that another run can be compared. */
export interface Protocol {
  readonly contextLength: number;
  readonly chunks: number;
  readonly scoredTokens: number;
  readonly zeroShotTask: string;
  readonly zeroShotItems: number;
  readonly prefillTokens: number;
  readonly decodeTokens: number;
  readonly speedRounds: number;
  readonly seed: number;
}

export interface BenchmarkResults {
  readonly startedAt: string;
  readonly seconds: number;
  readonly environment: Environment;
  readonly protocol: Protocol;
  readonly rows: readonly ResultRow[];
}

/** Writes results.json, report.md and chart.svg into a folder of the run's own; returns the folder. */
export async function writeResults(results: BenchmarkResults, into: URL): Promise<URL> {
  const folder = new URL(`${results.startedAt.replaceAll(':', '-').replace(/\..*/, '')}/`, into);
  await mkdir(folder, { recursive: true });
  const { environment, ...rest } = results;
  const json = {
    machine: environment.machine,
    versions: environment.versions,
    commit: environment.commit,
    ...rest,
  };
  await writeFile(new URL('results.json', folder), `${JSON.stringify(json, undefined, 2)}\n`);
  await writeFile(new URL('report.md', folder), markdownReport(results));
  await writeFile(new URL('chart.svg', folder), await chartOf(results.rows));
  return folder;
}
