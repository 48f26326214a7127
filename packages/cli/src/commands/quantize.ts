import { stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename } from 'node:path';
import { InvalidArgumentError, type Provenance } from '@lbs/format';
import { createKernels, type Kernels } from '@lbs/kernels';
import type { ModelSource } from '@lbs/model-loaders';
import { hasFinishedJob, hashSource } from '@lbs/model-loaders/node';
import {
  describeJob,
  estimateQuantization,
  measureSpeed,
  needsCalibration,
  presets,
  type Recipe,
  secondsOf,
} from '@lbs/quantizer';
import { Command, Option } from 'commander';
import { type CalibrationText, calibrationSize, openCalibration, readCalibration } from '../calibration.js';
import { modelArgument, openModelArgument } from '../open-model.js';
import { byteSize, positiveInteger, positiveNumber, withInterrupt } from '../options.js';
import { formatBytes, formatDuration, printResult } from '../print-result.js';
import { runQuantizationJob } from '../quantization-job.js';
import { readRecipe } from '../read-recipe.js';
import { toolVersion } from '../tool-version.js';

interface QuantizeOptions {
  readonly preset: string;
  readonly recipe?: string;
  readonly printRecipe?: boolean;
  readonly bits?: number;
  readonly size?: number;
  readonly output?: string;
  readonly calibration?: string;
  readonly threads?: number;
  readonly maxShardSize: number;
  readonly dryRun?: boolean;
  readonly force?: boolean;
  readonly json?: boolean;
}

export function quantizeCommand(): Command {
  return new Command('quantize')
    .description('Quantize the weight matrices of a model.')
    .argument('<model>', modelArgument)
    .addOption(new Option('--preset <name>', 'how to quantize').choices(presets.names).default('lbs-4'))
    .addOption(
      new Option('--recipe <file>', 'a recipe of your own, as JSON, in the place of a preset').conflicts(
        'preset',
      ),
    )
    .option('--print-recipe', 'print the recipe as JSON, and quantize nothing')
    .addOption(
      new Option(
        '--bits <rate>',
        'bits for each weight of the quantized matrices, for presets that mix formats (lbs-mixed)',
      )
        .argParser(positiveNumber)
        .conflicts('size'),
    )
    .option('--size <bytes>', 'size of all weights instead, such as 80MB', byteSize)
    .option(
      '-o, --output <directory>',
      'where to write the quantized model; needed unless --dry-run is given',
    )
    .option(
      '--calibration <file>',
      'text for presets that measure activations; by default one that comes with lbs',
    )
    .option(
      '--threads <count>',
      'threads to use; by default as many as the machine has cores',
      positiveInteger,
    )
    .option('--max-shard-size <size>', 'largest weight file, such as 500MB', byteSize, 5e9)
    .option('--dry-run', 'tell size, memory and time, and quantize nothing')
    .option('--force', 'replace the output directory')
    .option('--json', 'print one JSON object')
    .action((model: string, options: QuantizeOptions) =>
      withInterrupt((signal) => quantize(model, options, signal)),
    );
}

async function quantize(path: string, options: QuantizeOptions, signal: AbortSignal): Promise<void> {
  const start = performance.now();
  const { output } = options;
  const recipe = await recipeOf(options);
  if (options.printRecipe) {
    process.stdout.write(`${JSON.stringify(recipe, undefined, 2)}\n`);
    return;
  }
  if (!options.dryRun) await assertWritable(options);
  const source = await openModelArgument(path, signal);
  const kernels = await createKernels({ threads: options.threads ?? availableParallelism() });
  try {
    const text = needsCalibration(recipe) ? await readCalibration(source, options.calibration) : undefined;
    if (options.calibration && !text) {
      process.stderr.write(
        `lbs: recipe ${recipe.name} needs no calibration text; ${options.calibration} is not read\n`,
      );
    }
    if (output === undefined || options.dryRun) {
      printEstimate(source, recipe, text, kernels, options.json ?? false);
      return;
    }
    const sha256 = await hashWeightFiles(source, signal);
    const identity = describeJob(source, recipe, {
      sequences: text?.sequences,
      modelIdentity: { sha256, config: source.configJson },
      toolVersion,
    });
    const provenance: Provenance = {
      tool: 'lbs',
      tool_version: toolVersion,
      recipe,
      seed: null,
      calibration_sha256: text?.sha256 ?? null,
      source: { name: source.name, sha256 },
    };
    const summary = await runQuantizationJob({
      source,
      recipe,
      kernels,
      calibration: text && (await openCalibration(source, kernels, text, signal)),
      identity,
      provenance,
      output,
      replace: options.force ?? false,
      maxShardBytes: options.maxShardSize,
      signal,
    });
    const result = {
      bitsPerWeight: summary.bitsPerWeight,
      bytes: summary.bytes,
      seconds: (performance.now() - start) / 1000,
      peakRssBytes: process.resourceUsage().maxRSS * 1024,
      tensors: summary.tensors,
    };
    printResult(result, options.json ?? false, [
      ['Output', output],
      ['Quantized matrices', String(result.tensors)],
      [
        'Bits per weight',
        `${result.bitsPerWeight.toFixed(3)} (scales, shared bits and salient weights included)`,
      ],
      ['Weights on disk', `${formatBytes(result.bytes)} (was ${formatBytes(source.fileBytes)})`],
      ['Time', `${result.seconds.toFixed(1)} s`],
      ['Peak memory', formatBytes(result.peakRssBytes)],
    ]);
  } finally {
    kernels.close();
    await source.close();
  }
}

/** The preset or the recipe of a file, with the budget that the options give it. */
async function recipeOf({ preset, recipe: file, bits, size }: QuantizeOptions): Promise<Recipe> {
  const recipe = file === undefined ? presets.get(preset) : await readRecipe(file);
  if (bits === undefined && size === undefined) return recipe;
  if (recipe.rules.every(({ candidates = [] }) => candidates.length === 0)) {
    throw new InvalidArgumentError(
      `recipe ${recipe.name} has no formats to choose from: its size is what it is`,
      {
        mend: 'Take --preset lbs-mixed, or leave out --bits and --size.',
      },
    );
  }
  return { ...recipe, budget: bits === undefined ? { bytes: size! } : { bitsPerWeight: bits } };
}

/** Says what quantizing would give and take, from the sizes of the tensors and the speed of a small matrix. */
function printEstimate(
  source: ModelSource,
  recipe: Recipe,
  text: CalibrationText | undefined,
  kernels: Kernels,
  json: boolean,
): void {
  const programBytes = process.memoryUsage.rss();
  const calibration = text && calibrationSize(source, text);
  const estimate = estimateQuantization(source, recipe, { calibration });
  const seconds = secondsOf(estimate.work, measureSpeed(estimate.work, kernels));
  const result = {
    dryRun: true,
    bitsPerWeight: estimate.bitsPerWeight,
    bytes: estimate.outputBytes,
    seconds,
    peakRssBytes: programBytes + estimate.memoryBytes,
    tensors: estimate.matrices,
    weights: estimate.quantizedWeights,
  };
  printResult(result, json, [
    ['Matrices to quantize', `${result.tensors} with ${result.weights.toLocaleString('en')} weights`],
    [
      'Bits per weight',
      `${result.bitsPerWeight.toFixed(3)} (scales, shared bits and salient weights included)`,
    ],
    ['Weights on disk', `about ${formatBytes(result.bytes)} (now ${formatBytes(source.fileBytes)})`],
    ['Disk needed meanwhile', `about ${formatBytes(estimate.quantizedBytes + result.bytes)}`],
    ['Time', `roughly ${formatDuration(seconds)} on ${kernels.threads} threads`],
    ['Peak memory', `roughly ${formatBytes(result.peakRssBytes)}`],
  ]);
}

/** Throws InvalidArgumentError where there is no output, or one that is there and may not be replaced. */
async function assertWritable({ output, force }: QuantizeOptions): Promise<void> {
  if (output === undefined) {
    throw new InvalidArgumentError('no output directory is named', {
      mend: 'Name one with --output, or ask with --dry-run what quantizing would give and take.',
    });
  }
  if (force || !(await exists(output)) || (await hasFinishedJob(output))) return;
  throw new InvalidArgumentError('the output directory exists', {
    file: output,
    mend: 'Name another one, or replace it with --force.',
  });
}

async function hashWeightFiles(model: ModelSource, signal: AbortSignal): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  for (const file of model.weightFiles) hashes[basename(file.name)] = await hashSource(file, { signal });
  return hashes;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
