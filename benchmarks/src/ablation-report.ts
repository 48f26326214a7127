import type { AblationResults, AblationRow, Estimate } from './benchmark-results.js';
import { type Column, markdownTable, nothing } from './table.js';

type ShownRow = AblationRow & { readonly title: string };

const signed = (value: number) => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(2)}`;

const columns: readonly Column<ShownRow>[] = [
  ['recipe', ({ title }) => title],
  ['bits/weight', ({ bitsPerWeight }) => bitsPerWeight.toFixed(3)],
  ['of them salient', ({ salientBitsPerWeight: bits }) => (bits > 0 ? bits.toFixed(3) : nothing)],
  ['perplexity', ({ perplexity }) => perplexity.value.toFixed(2)],
  ['KL divergence', ({ kld }) => `${kld.value.toFixed(4)} ± ${kld.stderr.toFixed(4)}`],
  ['same top token', ({ kld }) => `${(100 * kld.topAgreement).toFixed(1)} %`],
  ['worth, bits', ({ worth }) => (worth ? `${signed(worth.value)} ± ${worth.stderr.toFixed(2)}` : nothing)],
];

/** The tables of an ablation: its steps, and its recipes with the alternatives to each. */
export function ablationTables({ steps, comparisons }: AblationResults) {
  return {
    columns,
    steps: steps.map((row, i): ShownRow => ({ ...row, title: i === 0 ? `${row.part}` : `+ ${row.part}` })),
    comparisons: comparisons.flatMap(({ title, whole, alternatives }): ShownRow[] => [
      { ...whole, title },
      ...alternatives.map((row) => ({ ...row, title: `→ ${row.instead} instead of ${row.part}` })),
    ]),
  };
}

/** What follows from the comparisons, a sentence for each part: it must save bits against the best of what stands against it. */
export function verdicts({ comparisons }: AblationResults): string[] {
  return comparisons.flatMap(({ title, alternatives }) =>
    [...new Set(alternatives.map(({ part }) => part))].map((part) => {
      const best = alternatives
        .filter((row) => row.part === part)
        .reduce((least, row) => (row.worth!.value < least.worth!.value ? row : least));
      const { value, stderr } = best.worth!;
      return `- ${title}: ${part} ${judge(best.worth!)} (${signed(value)} ± ${stderr.toFixed(2)} bits a weight against ${best.instead}).`;
    }),
  );
}

/** Two standard errors decide. */
function judge({ value, stderr }: Estimate): string {
  if (value > 2 * stderr) return 'pays';
  return value < -2 * stderr ? 'does not pay' : 'neither pays nor costs';
}

/** The ablations as Markdown. */
export function ablationMarkdown(ablations: readonly AblationResults[]): string {
  return ablations
    .map((ablation) => {
      const tables = ablationTables(ablation);
      return `How \`${ablation.preset}\` comes about, each line with one part more than the line before; the last column is what the part is worth:

${markdownTable(tables.columns, tables.steps)}

Recipes against others of about the same rate that lack one part and spend its bits elsewhere; the last column is what the part is worth:

${markdownTable(tables.columns, tables.comparisons)}

${verdicts(ablation).join('\n')}`;
    })
    .join('\n\n');
}
