import { type LanguageModel, loadLanguageModel } from '@lbs/runtime';
import { Command } from 'commander';
import { modelArgument, openModelArgument } from '../open-model.js';
import { nonNegativeNumber, positiveInteger, withInterrupt } from '../options.js';

interface RunOptions {
  readonly prompt: string;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly seed: number;
  readonly threads: number;
  readonly json?: boolean;
}

export function runCommand(): Command {
  return new Command('run')
    .description('Continue a text.')
    .argument('<model>', modelArgument)
    .requiredOption('-p, --prompt <text>', 'text to continue')
    .option('-n, --max-tokens <count>', 'most tokens to generate', positiveInteger, 64)
    .option('--temperature <value>', '0 always takes the most likely token', nonNegativeNumber, 0)
    .option('--seed <number>', 'same seed, same text', nonNegativeNumber, 0)
    .option('--threads <count>', 'threads to compute on', positiveInteger, 1)
    .option('--json', 'print one JSON object')
    .action((model: string, options: RunOptions) => withInterrupt((signal) => run(model, options, signal)));
}

async function run(path: string, options: RunOptions, signal: AbortSignal): Promise<void> {
  const source = await openModelArgument(path, signal);
  let model: LanguageModel | undefined;
  try {
    model = await loadLanguageModel(source, { signal, threads: options.threads });
    const prompt = model.encode(options.prompt);
    const completion: number[] = [];
    const start = performance.now();
    let firstToken = start;
    let shown = '';
    for await (const token of model.stream(prompt, { ...options, signal })) {
      if (completion.length === 0) firstToken = performance.now();
      completion.push(token);
      // Half of a character may have arrived: wait for the rest.
      const decoded = model.decode(completion);
      if (!options.json && !decoded.endsWith('\ufffd')) {
        process.stdout.write(decoded.slice(shown.length));
        shown = decoded;
      }
    }
    const end = performance.now();
    const result = {
      text: model.decode(completion),
      promptTokens: prompt.length,
      completionTokens: completion.length,
      prefillTokensPerSecond: prompt.length / ((firstToken - start) / 1000),
      decodeTokensPerSecond:
        completion.length > 1 ? (completion.length - 1) / ((end - firstToken) / 1000) : null,
    };
    if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
    else process.stdout.write(`${result.text.slice(shown.length)}\n`);
  } finally {
    model?.close();
    await source.close();
  }
}
