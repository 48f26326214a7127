import { InvalidArgumentError } from '@lbs/format';
import type { ActivationPrecision } from '@lbs/kernels';
import { type LanguageModel, loadLanguageModel } from '@lbs/runtime';
import { Command } from 'commander';
import { answer, type Conversation, promptOf } from '../conversation.js';
import { modelArgument, openModelArgument } from '../open-model.js';
import {
  activationsOption,
  nonNegativeNumber,
  positiveInteger,
  positiveNumber,
  withInterrupt,
} from '../options.js';
import { talk } from '../talk.js';

interface RunOptions {
  readonly prompt?: string;
  readonly raw?: boolean;
  readonly system?: string;
  readonly maxTokens?: number;
  readonly temperature: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
  readonly seed: number;
  readonly stop?: readonly string[];
  readonly context?: number;
  readonly threads: number;
  readonly activations: ActivationPrecision;
  readonly json?: boolean;
}

/** Most tokens of an answer, where the command does not say and the context has room for them. */
const defaultMaxTokens = 512;

export function runCommand(): Command {
  return new Command('run')
    .description('Chat with a model, or continue a text.')
    .argument('<model>', modelArgument)
    .option('-p, --prompt <text>', 'what to answer or continue; without it, a conversation on the terminal')
    .option('--raw', 'continue the prompt as it is, though the model has a chat template')
    .option('--system <text>', 'system message of the chat')
    .option(
      '-n, --max-tokens <count>',
      `most tokens to generate (default: ${defaultMaxTokens}, or what fits)`,
      positiveInteger,
    )
    .option('--temperature <value>', '0 always takes the most likely token', nonNegativeNumber, 0)
    .option('--top-k <count>', 'sample among the so many most likely tokens', positiveInteger)
    .option('--top-p <share>', 'sample among the most likely tokens of this probability', positiveNumber)
    .option(
      '--min-p <share>',
      'sample among tokens of this share of the greatest probability',
      nonNegativeNumber,
    )
    .option(
      '--repetition-penalty <factor>',
      'above 1, make tokens of the context less likely',
      positiveNumber,
    )
    .option('--seed <number>', 'same seed, same text', nonNegativeNumber, 0)
    .option('--stop <text...>', 'end before one of these texts')
    .option('--context <tokens>', 'positions of the KV cache', positiveInteger)
    .option('--threads <count>', 'threads to compute on', positiveInteger, 1)
    .addOption(activationsOption())
    .option('--json', 'print one JSON object')
    .action((model: string, options: RunOptions) => {
      const talks = options.prompt === undefined && process.stdin.isTTY;
      if (options.prompt === undefined && (!talks || options.json)) {
        throw new InvalidArgumentError('run needs a prompt', {
          mend: 'Give --prompt TEXT, or start it on a terminal without --json for a conversation.',
        });
      }
      return withInterrupt((signal) =>
        withModel(model, options, signal, (loaded) =>
          talks
            ? talk(loaded, conversationOf(loaded, options), answerOptions(options), signal)
            : answerOnce(loaded, options.prompt!, options, signal),
        ),
      );
    });
}

async function withModel(
  path: string,
  { context, threads, activations }: RunOptions,
  signal: AbortSignal,
  use: (model: LanguageModel) => Promise<void>,
): Promise<void> {
  const source = await openModelArgument(path, signal);
  let model: LanguageModel | undefined;
  try {
    model = await loadLanguageModel(source, {
      signal,
      threads,
      activations,
      ...(context && { contextLength: context }),
    });
    await use(model);
  } finally {
    model?.close();
    await source.close();
  }
}

/** Throws InvalidArgumentError for a system message that nothing would come of. */
function conversationOf({ tokenizer }: LanguageModel, { raw, system }: RunOptions): Conversation {
  const chats = tokenizer.chatTemplate !== undefined && !raw;
  if (system !== undefined && !chats) {
    throw new InvalidArgumentError('a system message needs a chat', {
      mend: raw ? 'Leave out --raw or --system.' : 'The model has no chat template: leave out --system.',
    });
  }
  return { chats, messages: system === undefined ? [] : [{ role: 'system', content: system }] };
}

/** What of the options an answer depends on: all but where the model comes from, the conversation and how it is shown. */
function answerOptions({
  maxTokens,
  stop = [],
  raw,
  prompt,
  json,
  system,
  context,
  threads,
  activations,
  ...sampling
}: RunOptions) {
  return { ...sampling, stop, maxTokens, defaultMaxTokens };
}

async function answerOnce(
  model: LanguageModel,
  text: string,
  options: RunOptions,
  signal: AbortSignal,
): Promise<void> {
  const conversation = conversationOf(model, options);
  const prompt = promptOf(model, conversation, text);
  const show = options.json ? () => {} : (piece: string) => void process.stdout.write(piece);
  const {
    text: answered,
    tokens,
    finishReason,
    usage,
  } = await answer(model, prompt, { ...answerOptions(options), signal }, show);
  const { promptTokens, completionTokens, prefillSeconds, decodeSeconds } = usage;
  const result = {
    text: answered,
    promptTokens,
    completionTokens,
    prefillTokensPerSecond: promptTokens / prefillSeconds,
    decodeTokensPerSecond: completionTokens > 1 ? (completionTokens - 1) / decodeSeconds : null,
    tokens,
    finishReason,
    chat: conversation.chats,
  };
  process.stdout.write(options.json ? `${JSON.stringify(result)}\n` : '\n');
}
