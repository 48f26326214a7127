import { mkdir, writeFile } from 'node:fs/promises';
import type { BenchmarkResults } from './benchmark-results.js';
import { chartOf } from './chart.js';
import { markdownReport } from './markdown-report.js';

/** Writes results.json, ablation.json, report.md and chart.svg into a folder, by default one of the run's own; returns the folder. */
export async function writeResults(
  results: BenchmarkResults,
  into: URL,
  name = results.startedAt.replaceAll(':', '-').replace(/\..*/, ''),
): Promise<URL> {
  const folder = new URL(`${name}/`, into);
  await mkdir(folder, { recursive: true });
  const { environment, ablations, ...rest } = results;
  const json = {
    machine: environment.machine,
    versions: environment.versions,
    commit: environment.commit,
    ...rest,
  };
  await writeFile(new URL('results.json', folder), `${JSON.stringify(json, undefined, 2)}\n`);
  const ablationJson = { commit: environment.commit, startedAt: results.startedAt, ablations };
  await writeFile(new URL('ablation.json', folder), `${JSON.stringify(ablationJson, undefined, 2)}\n`);
  await writeFile(new URL('report.md', folder), markdownReport(results));
  await writeFile(new URL('chart.svg', folder), await chartOf(results.rows));
  return folder;
}
