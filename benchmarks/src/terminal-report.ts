import { ablationTables, verdicts } from './ablation-report.js';
import type { BenchmarkResults } from './benchmark-results.js';
import { columns, skippedNote } from './markdown-report.js';
import { terminalTable } from './table.js';

/** The tables of a run as a terminal shows them. */
export function terminalReport(results: BenchmarkResults): string {
  const tables = results.ablations.flatMap((ablation) => {
    const { columns: ofAblation, steps, comparisons } = ablationTables(ablation);
    return [
      `How ${ablation.preset} comes about`,
      terminalTable(ofAblation, steps),
      'Recipes against others of about the same rate',
      terminalTable(ofAblation, comparisons),
      ...verdicts(ablation),
    ];
  });
  return [terminalTable(columns, results.rows), ...tables, skippedNote(results)].join('\n');
}
