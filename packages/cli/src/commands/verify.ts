import { UnsupportedError } from '@lbs/format';
import { type Verification, type VerifyProgress, verifyModel, verifySafetensors } from '@lbs/model-loaders';
import { Command } from 'commander';
import { locate } from '../open-model.js';
import { withInterrupt } from '../options.js';
import { formatBytes } from '../print-result.js';
import { ProgressLine } from '../progress-line.js';
import { exitCodes } from '../report-error.js';

export function verifyCommand(): Command {
  return new Command('verify')
    .description(
      'Read all weights of a model that this toolkit wrote, and compare them with their checksums.',
    )
    .argument('<model>', 'model directory or .safetensors file, URL of one, or model of the hub')
    .option('--json', 'print one JSON object')
    .action((path: string, options: { readonly json?: boolean }) =>
      withInterrupt(async (signal) => {
        const result = await verify(path, signal);
        if (!result.ok) process.exitCode = exitCodes.badInput;
        if (options.json) {
          process.stdout.write(`${JSON.stringify(result)}\n`);
          return;
        }
        for (const { file, tensor, expected, found } of result.failures) {
          process.stdout.write(
            `${file}, tensor "${tensor}": expected ${expected ?? 'no checksum'}, found ${found ?? 'no tensor'}\n`,
          );
        }
        const counted = `${result.tensors} tensors, ${formatBytes(result.bytes)}`;
        process.stdout.write(
          result.ok
            ? `${counted}: all as they were written\n`
            : `${counted}: ${result.failures.length} damaged. Copy or download the model again, or quantize it anew.\n`,
        );
      }),
    );
}

async function verify(path: string, signal: AbortSignal): Promise<Verification> {
  const progress = new ProgressLine('Verifying');
  const options = {
    signal,
    onProgress: ({ tensor, bytesDone, bytesTotal }: VerifyProgress) =>
      progress.update(bytesTotal > 0 ? bytesDone / bytesTotal : 1, tensor),
  };
  try {
    if (/\.gguf$/i.test(path)) {
      throw new UnsupportedError('GGUF files have no checksums', {
        file: path,
        mend: 'Compare the file with the hash that its publisher gives.',
      });
    }
    const located = await locate(path, signal, { readsAll: true });
    if ('directory' in located) return await verifyModel(located.directory, options);
    try {
      return await verifySafetensors(located.file, options);
    } finally {
      await located.file.close?.();
    }
  } finally {
    progress.end();
  }
}
