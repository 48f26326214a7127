import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { InvalidArgumentError } from '@lbs/format';
import { ggufQuantizers } from '@lbs/model-loaders';
import { type WrittenGguf, writeGguf } from '@lbs/model-loaders/node';
import { Command, Option } from 'commander';
import { modelArgument, openModelArgument } from '../open-model.js';
import { withInterrupt } from '../options.js';
import { formatBytes, printResult } from '../print-result.js';
import { ProgressLine } from '../progress-line.js';

interface ExportOptions {
  readonly gguf: string;
  readonly output: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

export function exportCommand(): Command {
  return new Command('export')
    .description('Write a model as a GGUF file, for llama.cpp and all that reads its files.')
    .argument('<model>', modelArgument)
    .addOption(
      new Option('--gguf <type>', 'type of the weight matrices')
        .choices(ggufQuantizers.names)
        .makeOptionMandatory(),
    )
    .requiredOption('-o, --output <file>', 'where to write the file')
    .option('--force', 'replace the file')
    .option('--json', 'print one JSON object')
    .action((model: string, options: ExportOptions) =>
      withInterrupt(async (signal) => {
        const start = performance.now();
        const { bytes, tensors, warnings } = await exportModel(model, options, signal);
        const seconds = (performance.now() - start) / 1000;
        for (const warning of warnings) process.stderr.write(`lbs: ${warning}\n`);
        printResult(
          { file: options.output, type: options.gguf, bytes, tensors, seconds, warnings },
          options.json ?? false,
          [
            ['file', options.output],
            ['size', formatBytes(bytes)],
            ['tensors', String(tensors)],
            ['time', `${seconds.toFixed(1)} s`],
          ],
        );
      }),
    );
}

async function exportModel(
  path: string,
  { gguf, output, force }: ExportOptions,
  signal: AbortSignal,
): Promise<WrittenGguf> {
  await assertFree(path, output, force ?? false);
  const model = await openModelArgument(path, signal);
  const progress = new ProgressLine('Writing');
  try {
    return await writeGguf(output, model, {
      type: gguf,
      signal,
      onProgress: ({ tensor, bytesWritten, bytesTotal }) =>
        progress.update(bytesWritten / bytesTotal, tensor),
    });
  } finally {
    progress.end();
    await model.close();
  }
}

/** Throws InvalidArgumentError where something is in the place of the output. */
async function assertFree(model: string, output: string, force: boolean): Promise<void> {
  const stats = await stat(output).catch(() => undefined);
  if (!stats) return;
  if (stats.isDirectory() || resolve(model) === resolve(output)) {
    throw new InvalidArgumentError('this is where the model is, or a directory', {
      file: output,
      mend: 'Name a file for the output, such as model.gguf.',
    });
  }
  if (force) return;
  throw new InvalidArgumentError('the output exists already', {
    file: output,
    mend: 'Choose another name, or replace it with --force.',
  });
}
