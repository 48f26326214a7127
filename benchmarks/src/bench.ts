import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { heldOutText, referenceModel } from '@lbs/datasets';
import { presets } from '@lbs/quantizer';
import type { LanguageModel } from '@lbs/runtime';
import { ablations, recipesOf } from './ablation.js';
import { ablationResults } from './ablation-results.js';
import { loadModel, sizeOfOriginal } from './benchmark-models.js';
import type { BenchmarkResults, ResultRow } from './benchmark-results.js';
import { describeEnvironment } from './environment.js';
import { logDivergencePerBit } from './equivalent-bits.js';
import { readTask } from './jobs.js';
import { measureFidelity, measureZeroShot, quantizeAll } from './measurements.js';
import { methodOf } from './method-of.js';
import { createProgress } from './progress.js';
import { readmeParts } from './readme-parts.js';
import { writeResults } from './results-folder.js';
import type { JobsProgress } from './run-jobs.js';
import { measureSpeed } from './speed.js';
import { terminalReport } from './terminal-report.js';
import { updateReadme } from './update-readme.js';

const chunks = 96;
const zeroShotItems = 500;
const prefillTokens = 128;
const decodeTokens = 64;
const speedRounds = 9;
const seed = 0;

/** Two rates of one method, which say what a bit is worth. */
const [lowRate, highRate] = ['lbs-3', 'lbs-4'] as const;

/** What is measured without `--all`. */
const chosen = {
  zeroShot: ['int8', 'int4-g64', 'gptq-int4-g64', 'lbs-4', 'int3-g64', 'gptq-int3-g64', 'lbs-3'],
  ablations: ['lbs-3'],
};
const skipped = ['zero-shot of the formats with a dash', 'what the parts of `lbs-4` are worth'];

const { all: isComplete, reference: isReference } = parseArgs({
  options: {
    all: { type: 'boolean', default: false },
    /** Whether this is the run that the README shows. */
    reference: { type: 'boolean', default: false },
  },
}).values;
const startedAt = new Date();
const environment = describeEnvironment();
const progress = createProgress();
const showJobs = ({ share, completed, total }: JobsProgress) =>
  progress.update(share, `${completed} of ${total}`);
const seconds = () => (Date.now() - startedAt.getTime()) / 1000;
const folder = await mkdtemp(join(tmpdir(), 'lbs-bench-'));
try {
  const original = { format: 'FP32', path: fileURLToPath(referenceModel) };
  const ablated = isComplete
    ? ablations
    : ablations.filter(({ preset }) => chosen.ablations.includes(preset));
  const recipes = new Map(
    [...presets.names.map((name) => presets.get(name)), ...ablated.flatMap(recipesOf)].map((recipe) => [
      recipe.name,
      recipe,
    ]),
  );

  progress.step(`Quantizing by ${recipes.size} recipes`);
  const quantized = await quantizeAll(original.path, [...recipes.values()], folder, showJobs);

  progress.step('Perplexity and KL divergence');
  const { perplexity, fidelity, contextLength, scoredTokens } = await measureFidelity(
    original,
    quantized,
    chunks,
    showJobs,
  );
  const measured = new Map(
    quantized.map(({ format, path, ...size }) => [format, { ...size, ...fidelity.get(format)! }]),
  );

  const paths = new Map(quantized.map(({ format, path }) => [format, path]));
  const models = [original, ...presets.names.map((format) => ({ format, path: paths.get(format)! }))];
  progress.step('Zero-shot');
  const asked = [original.format, ...(isComplete ? presets.names : chosen.zeroShot)];
  const accuracies = await measureZeroShot(
    models.filter(({ format }) => asked.includes(format)),
    { items: zeroShotItems, seed },
    showJobs,
  );

  progress.step('Speed');
  const loaded = new Map<string, LanguageModel>();
  for (const { format, path } of models) loaded.set(format, await loadModel(path));
  const text = loaded.get(original.format)!.encode(await readFile(heldOutText, 'utf8'));
  const speed = await measureSpeed(loaded, text, {
    prefillTokens,
    decodeTokens,
    rounds: speedRounds,
    onRound: (round) => progress.update((round + 1) / speedRounds, `round ${round + 1}`),
  });
  progress.end();

  const originalRow = { method: 'none', ...(await sizeOfOriginal(original.path)), perplexity, kld: null };
  const rows = models.map(({ format }): ResultRow => {
    const { prefill, decode } = speed.get(format)!;
    const quality = measured.get(format);
    return {
      model: 'reference-lm',
      format,
      ...(quality ? { method: methodOf(presets.get(format)), ...quality } : originalRow),
      accuracy: accuracies.get(format) ?? null,
      prefillTokensPerSecond: prefill,
      decodeTokensPerSecond: decode,
    };
  });
  const perBit = logDivergencePerBit(measured.get(lowRate)!, measured.get(highRate)!);
  const ablationRows = ablated.map((ablation) => ablationResults(ablation, measured, perBit));
  const { task: zeroShotTask } = await readTask();
  const results: BenchmarkResults = {
    startedAt: startedAt.toISOString(),
    seconds: seconds(),
    environment,
    protocol: {
      contextLength,
      chunks,
      scoredTokens,
      zeroShotTask,
      zeroShotItems,
      prefillTokens,
      decodeTokens,
      speedRounds,
      seed,
    },
    rows,
    ablations: ablationRows,
    skipped: isComplete ? [] : skipped,
  };
  console.log(terminalReport(results));
  const written = await writeResults(
    results,
    new URL('../results/', import.meta.url),
    ...(isReference ? ['reference'] : []),
  );
  if (isReference) await updateReadme(new URL('../../README.md', import.meta.url), readmeParts(results));
  console.log(`Written to ${relative(process.cwd(), fileURLToPath(written))} in ${seconds().toFixed(0)} s`);
} finally {
  await rm(folder, { recursive: true, force: true });
}
