import { stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename } from 'node:path';
import { InvalidArgumentError, type Provenance, serializeQuantizationConfig } from '@lbs/format';
import { createKernels } from '@lbs/kernels';
import type { ModelSource } from '@lbs/model-loaders';
import { hashSource, openModel, writeModelDirectory } from '@lbs/model-loaders/node';
import { needsCalibration, presets, quantizeModel } from '@lbs/quantizer';
import { Command, Option } from 'commander';
import { openCalibration } from '../calibration.js';
import { byteSize, positiveInteger, withInterrupt } from '../options.js';
import { formatBytes, printResult } from '../print-result.js';
import { ProgressLine } from '../progress-line.js';
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
  if (!options.force && (await exists(options.output))) {
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
    const progress = new ProgressLine('Quantizing');
    const model = await quantizeModel(source, recipe, {
      kernels,
      calibration: calibrated?.calibration,
      signal,
      onProgress: ({ tensor, weightsDone, weightsTotal, relativeError }) =>
        progress.update(
          weightsDone / weightsTotal,
          `${tensor}, error ${(10 * Math.log10(relativeError)).toFixed(1)} dB`,
        ),
    });
    progress.end();
    const provenance: Provenance = {
      tool: 'lbs',
      tool_version: toolVersion,
      recipe,
      seed: null,
      calibration_sha256: calibrated?.sha256 ?? null,
      source: { name: source.name, sha256: await hashWeightFiles(source, signal) },
    };
    const config = {
      ...source.configJson,
      quantization_config: serializeQuantizationConfig({ ...model.config, provenance }),
    };
    const bytes = await writeModelDirectory(
      options.output,
      { config, tensors: model.tensors, tokenizerFiles: source.tokenizerFiles },
      { signal, replace: options.force ?? false, maxShardBytes: options.maxShardSize },
    );
    const result = {
      bitsPerWeight: model.bitsPerWeight,
      bytes,
      seconds: (performance.now() - start) / 1000,
      peakRssBytes: process.resourceUsage().maxRSS * 1024,
      tensors: model.matrices,
    };
    printResult(result, options.json ?? false, [
      ['Output', options.output],
      ['Quantized matrices', String(result.tensors)],
      [
        'Bits per weight',
        `${result.bitsPerWeight.toFixed(3)} (scales, shared bits and salient weights included)`,
      ],
      ['Weights on disk', `${formatBytes(bytes)} (was ${formatBytes(source.fileBytes)})`],
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
