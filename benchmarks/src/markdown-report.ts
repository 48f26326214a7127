import { ablationMarkdown } from './ablation-report.js';
import type { BenchmarkResults, ResultRow } from './benchmark-results.js';
import { type Column, markdownTable, nothing } from './table.js';

/** Column titles and how a row fills them; the terminal's table and the Markdown one are the same. */
export const columns: readonly Column<ResultRow>[] = [
  ['format', (row) => row.format],
  ['bits/weight', (row) => row.bitsPerWeight.toFixed(3)],
  ['file MB', (row) => (row.bytes / 1e6).toFixed(2)],
  ['perplexity', ({ perplexity }) => `${perplexity.value.toFixed(2)} ± ${perplexity.stderr.toFixed(2)}`],
  ['KL divergence', ({ kld }) => (kld ? `${kld.value.toFixed(4)} ± ${kld.stderr.toFixed(4)}` : nothing)],
  ['same top token', ({ kld }) => (kld ? `${(100 * kld.topAgreement).toFixed(1)} %` : nothing)],
  [
    'zero-shot',
    ({ accuracy }) =>
      accuracy ? `${(100 * accuracy.value).toFixed(1)} ± ${(100 * accuracy.stderr).toFixed(1)} %` : nothing,
  ],
  ['prefill tok/s', ({ prefillTokensPerSecond }) => prefillTokensPerSecond.median.toFixed(0)],
  ['decode tok/s', ({ decodeTokensPerSecond }) => decodeTokensPerSecond.median.toFixed(0)],
];

/** The whole report of a run. */
export function markdownReport(results: BenchmarkResults): string {
  const { environment, protocol, rows, seconds, ablations } = results;
  const { machine, versions, commit } = environment;
  return `# Benchmark of ${rows[0]?.model ?? 'nothing'}

${markdownTable(columns, rows)}

![Bits per weight against KL divergence](chart.svg)

- Perplexity and KL divergence to the float32 model: ${protocol.chunks} chunks of ${protocol.contextLength} tokens of the
  held-out text, the second half of each chunk scored (llama.cpp's protocol), ${protocol.scoredTokens} tokens; ± is one standard error.
- Zero-shot: ${protocol.zeroShotItems} items of the task \`${protocol.zeroShotTask}\`.
- Bits per weight: all bytes written for the quantized matrices (codes, shared bits, scales, salient weights, shapes)
  over their weights. File: the whole \`model.safetensors\`, with embeddings and norms as they were.
- Speed: one thread; prefill of ${protocol.prefillTokens} tokens, then ${protocol.decodeTokens} tokens one by one; medians of ${protocol.speedRounds} rounds, all formats in turn.
- ${machine.processor}, ${machine.cores} cores, ${machine.system}; Node ${versions.node}, V8 ${versions.v8}; lbs ${versions.lbs}, commit ${commit ?? 'unknown'}; seed ${protocol.seed}; ${seconds.toFixed(0)} s.
${skippedNote(results)}
## What each part is worth

${ablationMarkdown(ablations)}

A part is worth the bits per weight that would lower the KL divergence as much, less those that it takes. How much a bit lowers it follows from
\`lbs-3\` and \`lbs-4\`. The ± takes the divergences as independent, but they come from the same tokens: it is an upper bound.
`;
}

/** What was left out, and how to get it; empty where nothing was. */
export function skippedNote({ skipped }: Pick<BenchmarkResults, 'skipped'>): string {
  return skipped.length > 0
    ? `- Left out to save time: ${skipped.join('; ')}. \`pnpm bench --all\` has them.\n`
    : '';
}
