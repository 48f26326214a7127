import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { continuationTask, continuationTaskItems, heldOutText, referenceModel } from '@lbs/datasets';
import { parseMultipleChoiceTask } from '@lbs/eval-harness';
import Table from 'cli-table3';
import {
  type BenchmarkModel,
  benchmarkPresets,
  loadOriginal,
  quantizeAndReopen,
} from './benchmark-models.js';
import type { ResultRow } from './benchmark-results.js';
import { describeEnvironment } from './environment.js';
import { columns, markdownTable } from './markdown-report.js';
import { createProgress } from './progress.js';
import { measureQuality } from './quality.js';
import { updateReadmeTable } from './readme-table.js';
import { writeResults } from './results-folder.js';
import { sampleItems } from './sample-items.js';
import { measureSpeed } from './speed.js';

const chunks = 160;
const zeroShotItems = 500;
const prefillTokens = 128;
const decodeTokens = 64;
const speedRounds = 9;
const seed = 0;

/** Whether this is the run that the README shows. */
const { reference: isReference } = parseArgs({
  options: { reference: { type: 'boolean', default: false } },
}).values;
const startedAt = new Date();
const environment = describeEnvironment();
const progress = createProgress();
const folder = await mkdtemp(join(tmpdir(), 'lbs-bench-'));
try {
  const path = fileURLToPath(referenceModel);
  progress.step('Loading the reference model');
  const original = await loadOriginal(path);
  const quantized: BenchmarkModel[] = [];
  for (const preset of benchmarkPresets) {
    progress.step(`Quantizing to ${preset}`);
    quantized.push(await quantizeAndReopen(path, preset, folder));
  }

  progress.step('Evaluating');
  const { contextLength } = original.model;
  const text = original.model.encode(await readFile(heldOutText, 'utf8'));
  const task = parseMultipleChoiceTask(
    await readFile(continuationTask, 'utf8'),
    await readFile(continuationTaskItems, 'utf8'),
  );
  const sampled = { ...task, items: sampleItems(task.items, zeroShotItems, seed) };
  const quality = await measureQuality(original, quantized, {
    text,
    contextLength,
    chunks,
    task: sampled,
    onProgress: progress.update,
  });

  progress.step('Measuring speed');
  const all = [original, ...quantized];
  const speed = await measureSpeed(new Map(all.map(({ format, model }) => [format, model])), text, {
    prefillTokens,
    decodeTokens,
    rounds: speedRounds,
    onRound: (round) => progress.update((round + 1) / speedRounds, `round ${round + 1}`),
  });
  progress.end();

  const rows = all.map(({ format, bitsPerWeight, bytes }): ResultRow => {
    const { prefill, decode } = speed.get(format)!;
    return {
      model: 'reference-lm',
      format,
      bitsPerWeight,
      bytes,
      ...quality.rows.get(format)!,
      prefillTokensPerSecond: prefill,
      decodeTokensPerSecond: decode,
    };
  });
  const table = new Table({
    head: columns.map(([title]) => title),
    colAligns: columns.map((_, i) => (i === 0 ? 'left' : 'right')),
    style: { head: [], border: [] },
  });
  table.push(...rows.map((row) => columns.map(([, cell]) => cell(row))));
  console.log(table.toString());

  const results = await writeResults(
    {
      startedAt: startedAt.toISOString(),
      seconds: (Date.now() - startedAt.getTime()) / 1000,
      environment,
      protocol: {
        contextLength,
        chunks,
        scoredTokens: quality.scoredTokens,
        zeroShotTask: task.task,
        zeroShotItems,
        prefillTokens,
        decodeTokens,
        speedRounds,
        seed,
      },
      rows,
    },
    new URL('../results/', import.meta.url),
    ...(isReference ? ['reference'] : []),
  );
  if (isReference) await updateReadmeTable(new URL('../../README.md', import.meta.url), markdownTable(rows));
  console.log(
    `Written to ${relative(process.cwd(), fileURLToPath(results))} in ${((Date.now() - startedAt.getTime()) / 1000).toFixed(0)} s`,
  );
} finally {
  await rm(folder, { recursive: true, force: true });
}
