import type { BenchmarkResults, ResultRow } from './benchmark-results.js';

/** Column titles and how a row fills them; the terminal's table and the Markdown one are the same. */
export const columns: readonly (readonly [title: string, cell: (row: ResultRow) => string])[] = [
  ['format', (row) => row.format],
  ['bits/weight', (row) => row.bitsPerWeight.toFixed(3)],
  ['file MB', (row) => (row.bytes / 1e6).toFixed(2)],
  ['perplexity', ({ perplexity }) => `${perplexity.value.toFixed(2)} ± ${perplexity.stderr.toFixed(2)}`],
  ['KL divergence', ({ kld }) => (kld ? `${kld.value.toFixed(4)} ± ${kld.stderr.toFixed(4)}` : '–')],
  ['same top token', ({ kld }) => (kld ? `${(100 * kld.topAgreement).toFixed(1)} %` : '–')],
  [
    'zero-shot',
    ({ accuracy }) => `${(100 * accuracy.value).toFixed(1)} ± ${(100 * accuracy.stderr).toFixed(1)} %`,
  ],
  ['prefill tok/s', ({ prefillTokensPerSecond }) => prefillTokensPerSecond.median.toFixed(0)],
  ['decode tok/s', ({ decodeTokensPerSecond }) => decodeTokensPerSecond.median.toFixed(0)],
];

export function markdownTable(rows: readonly ResultRow[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [
    line(columns.map(([title]) => title)),
    line(columns.map((_, i) => (i === 0 ? '---' : '---:'))),
    ...rows.map((row) => line(columns.map(([, cell]) => cell(row)))),
  ].join('\n');
}

/** The whole report of a run. */
export function markdownReport({ environment, protocol, rows, seconds }: BenchmarkResults): string {
  const { machine, versions, commit } = environment;
  return `# Benchmark of ${rows[0]?.model ?? 'nothing'}

${markdownTable(rows)}

![Bits per weight against KL divergence](chart.svg)

- Perplexity and KL divergence to the float32 model: ${protocol.chunks} chunks of ${protocol.contextLength} tokens of the
  held-out text, the second half of each chunk scored (llama.cpp's protocol), ${protocol.scoredTokens} tokens; ± is one standard error.
- Zero-shot: ${protocol.zeroShotItems} items of the task \`${protocol.zeroShotTask}\`.
- Bits per weight: all bytes written for the quantized matrices (codes, shared bits, scales, salient weights, shapes)
  over their weights. File: the whole \`model.safetensors\`, with embeddings and norms as they were.
- Speed: one thread; prefill of ${protocol.prefillTokens} tokens, then ${protocol.decodeTokens} tokens one by one; medians of ${protocol.speedRounds} rounds, all formats in turn.
- ${machine.processor}, ${machine.cores} cores, ${machine.system}; Node ${versions.node}, V8 ${versions.v8}; lbs ${versions.lbs}, commit ${commit ?? 'unknown'}; seed ${protocol.seed}; ${seconds.toFixed(0)} s.
`;
}
