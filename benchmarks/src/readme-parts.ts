import { ablationMarkdown } from './ablation-report.js';
import type { BenchmarkResults } from './benchmark-results.js';
import { columns, skippedNote } from './markdown-report.js';
import { markdownTable } from './table.js';

/** What the README of the project shows of a run, by the names of its places. */
export function readmeParts(results: BenchmarkResults): Record<'table' | 'ablation', string> {
  const note = skippedNote(results);
  return {
    table: markdownTable(columns, results.rows) + (note && `\n\n${note.trimEnd()}`),
    ablation: ablationMarkdown(results.ablations),
  };
}
