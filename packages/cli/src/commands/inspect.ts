import Table from 'cli-table3';
import { Command } from 'commander';
import { inspectFile } from '../inspect-file.js';
import { withInterrupt } from '../options.js';
import { formatBytes } from '../print-result.js';

export function inspectCommand(): Command {
  return new Command('inspect')
    .description('Show what a model or weight file holds, without reading its weights.')
    .argument('<file>', 'model directory, .safetensors or .gguf file, URL of one, or model of the hub')
    .option('--json', 'print one JSON object')
    .action((file: string, options: { readonly json?: boolean }) =>
      withInterrupt(async (signal) => {
        const content = await inspectFile(file, signal);
        if (options.json) {
          process.stdout.write(`${JSON.stringify(content)}\n`);
          return;
        }
        const table = new Table({
          head: ['tensor', 'dtype', 'shape', 'size'],
          style: { head: [], border: [] },
        });
        for (const { name, dtype, shape, bytes } of content.tensors) {
          table.push([name, dtype, `[${shape.join(', ')}]`, formatBytes(bytes)]);
        }
        const total = content.tensors.reduce((sum, { bytes }) => sum + bytes, 0);
        process.stdout.write(`${table.toString()}\n`);
        for (const [key, value] of Object.entries(content.metadata)) {
          const text = JSON.stringify(value);
          process.stdout.write(`${key}: ${text.length > 120 ? `${text.slice(0, 120)}...` : text}\n`);
        }
        process.stdout.write(`${content.format}, ${content.tensors.length} tensors, ${formatBytes(total)}\n`);
        if (content.quantized) {
          const { matrices, weights, bitsPerWeight } = content.quantized;
          process.stdout.write(
            `${matrices} quantized matrices, ${weights} weights, ${bitsPerWeight.toFixed(3)} bits a weight\n`,
          );
        }
      }),
    );
}
