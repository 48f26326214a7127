import { stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename } from 'node:path';
import { InvalidArgumentError, type Provenance } from '@lbs/format';
import { createKernels } from '@lbs/kernels';
import type { ModelSource } from '@lbs/model-loaders';
import { hasFinishedJob, hashSource, openModel } from '@lbs/model-loaders/node';
import { describeJob, needsCalibration, presets } from '@lbs/quantizer';
import { Command, Option } from 'commander';
import { openCalibration } from '../calibration.js';
import { byteSize, positiveInteger, withInterrupt } from '../options.js';
import { formatBytes, printResult } from '../print-result.js';
import { runQuantizationJob } from '../quantization-job.js';
import { toolVersion } from '../tool-version.js';

interface QuantizeOptions {
  readonly preset: string;
  readonly output: string;
  readonly calibration?: string;
  readonly threads?: number;
  readonly maxShardSize: number;
  readonly force?: boolean;
  readonly json?: boolean;
}

export function quantizeCommand(): Command {
  return new Command('quantize')
    .description('Quantize the weight matrices of a model.')
    .argument('<model>', 'directory of a model in Hugging Face form, or a GGUF file')
    .addOption(new Option('--preset <name>', 'how to quantize').choices(presets.names).default('lbs-4'))
    .requiredOption('-o, --output <directory>', 'where to write the quantized model')
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
    .option('--force', 'replace the output directory')
    .option('--json', 'print one JSON object')
    .action((model: string, options: QuantizeOptions) =>
      withInterrupt((signal) => quantize(model, options, signal)),
    );
}

async function quantize(path: string, options: QuantizeOptions, signal: AbortSignal): Promise<void> {
  const start = performance.now();
  if (!options.force && (await exists(options.output)) && !(await hasFinishedJob(options.output))) {
    throw new InvalidArgumentError('the output directory exists', {
      file: options.output,
      mend: 'Name another one, or replace it with --force.',
    });
  }
  const recipe = presets.get(options.preset);
  const source = await openModel(path, { signal });
  const kernels = await createKernels({ threads: options.threads ?? availableParallelism() });
  try {
    const calibrated = needsCalibration(recipe)
      ? await openCalibration(source, kernels, options.calibration, signal)
      : undefined;
    if (options.calibration && !calibrated) {
      process.stderr.write(
        `lbs: preset ${options.preset} needs no calibration text; ${options.calibration} is not read\n`,
      );
    }
    const sha256 = await hashWeightFiles(source, signal);
    const identity = describeJob(source, recipe, {
      sequences: calibrated?.calibration.sequences,
      modelIdentity: { sha256, config: source.configJson },
      toolVersion,
    });
    const provenance: Provenance = {
      tool: 'lbs',
      tool_version: toolVersion,
      recipe,
      seed: null,
      calibration_sha256: calibrated?.sha256 ?? null,
      source: { name: source.name, sha256 },
    };
    const summary = await runQuantizationJob({
      source,
      recipe,
      kernels,
      calibration: calibrated?.calibration,
      identity,
      provenance,
      output: options.output,
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
      ['Output', options.output],
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
