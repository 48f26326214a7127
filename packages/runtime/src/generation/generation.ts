import { InvalidArgumentError } from '@lbs/format';
import type { Tokenizer } from '@lbs/model-loaders';
import type { Decoder } from '../decoder/decoder.js';
import { LogProbabilities, type TokenLogProbability } from './log-probabilities.js';
import { createSampler, type SamplingOptions } from './sampling.js';
import { StopText } from './stop-text.js';

/** How a text is continued. */
export interface GenerationOptions extends SamplingOptions {
  /** Most tokens to generate. Default: what the context has left. */
  readonly maxTokens?: number | undefined;
  /** Generation ends before one of these. Default: `LanguageModel.stopTokens`. */
  readonly stopTokens?: readonly number[] | undefined;
  /** Texts before which the generation ends, wherever the tokens part them. */
  readonly stop?: readonly string[] | undefined;
  /** Gives every token with its log-probability, and so many of the most likely ones; 0 for its own alone. Default: none. */
  readonly topLogProbabilities?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a step of a generation gives. */
export interface GeneratedPiece {
  /** The token; missing where only text comes that was held back, before a stop token. */
  readonly token?: number;
  /** Text that is certain now. It is empty while a character, or what may be a stop text, is incomplete. */
  readonly text: string;
  /** Of the token in the model's own distribution, in nats. */
  readonly logProbability?: number;
  /** The most likely tokens at this place. */
  readonly top?: readonly TokenLogProbability[];
}

/** What a generation cost. */
export interface GenerationUsage {
  readonly promptTokens: number;
  /** Tokens of the prompt that the KV cache held from the call before, and that were not computed again. */
  readonly reusedTokens: number;
  /** Tokens that were generated, without a stop token. */
  readonly completionTokens: number;
  /** Until the first token was there, and from then on. */
  readonly prefillSeconds: number;
  readonly decodeSeconds: number;
}

/** What a generation gave. */
export interface GenerationResult {
  /** The pieces together: what comes before a stop text. */
  readonly text: string;
  /** All generated tokens, those of a stop text among them. */
  readonly tokens: readonly number[];
  /** `stop`: a stop token or a stop text came; `length`: there were `maxTokens`, or the context was full. */
  readonly finishReason: 'stop' | 'length';
  readonly usage: GenerationUsage;
}

/** What a generation needs of a model. */
export interface GenerationModel {
  readonly decoder: Decoder;
  readonly tokenizer: Pick<Tokenizer, 'stream'>;
  readonly stopTokens: readonly number[];
}

/**
 * Continues a prompt, a piece for every token. Throws InvalidArgumentError where the prompt is empty or does not fit the context together with
 * `maxTokens`, and for options out of their range; when aborted, the signal's reason.
 */
export async function* continuePrompt(
  { decoder, tokenizer, ...model }: GenerationModel,
  prompt: readonly number[],
  options: GenerationOptions = {},
): AsyncGenerator<GeneratedPiece, GenerationResult, undefined> {
  const { stopTokens = model.stopTokens, stop = [], topLogProbabilities, signal, ...sampling } = options;
  const maxTokens = tokensThatFit(decoder, prompt.length, options.maxTokens);
  const sample = createSampler(sampling);
  const stopText = new StopText(stop);
  const stream = tokenizer.stream();
  /** What was held back, when no token follows. */
  const flush = () => {
    const { text, stopped } = stopText.push(stream.end());
    return { text: stopped ? text : text + stopText.end(), stopped };
  };
  const tokens = [...prompt];
  const reusedTokens = Math.min(decoder.cachedTokens(prompt), prompt.length - 1);
  const start = performance.now();
  let firstToken = start;
  let text = '';
  let stopped = false;
  while (!stopped && tokens.length < prompt.length + maxTokens) {
    const logits = await decoder.logits(tokens, tokens.length - 1, { signal });
    if (tokens.length === prompt.length) firstToken = performance.now();
    const token = sample(logits, tokens);
    if (stopTokens.includes(token)) {
      stopped = true;
      const held = flush().text;
      text += held;
      if (held !== '') yield { text: held };
      continue;
    }
    tokens.push(token);
    const certain = stopText.push(stream.push(token));
    stopped = certain.stopped;
    let piece = certain.text;
    if (!stopped && tokens.length === prompt.length + maxTokens) {
      const held = flush();
      piece += held.text;
      stopped = held.stopped;
    }
    text += piece;
    yield { token, text: piece, ...likelihoods(logits, token, topLogProbabilities) };
  }
  return {
    text,
    tokens: tokens.slice(prompt.length),
    finishReason: stopped ? 'stop' : 'length',
    usage: {
      promptTokens: prompt.length,
      reusedTokens,
      completionTokens: tokens.length - prompt.length,
      prefillSeconds: (firstToken - start) / 1000,
      decodeSeconds: (performance.now() - firstToken) / 1000,
    },
  };
}

function likelihoods(logits: Float32Array, token: number, top: number | undefined) {
  if (top === undefined) return {};
  const logProbabilities = new LogProbabilities(logits);
  return { logProbability: logProbabilities.of(token), top: logProbabilities.top(top) };
}

/** Tokens that are generated at most. Throws InvalidArgumentError where they do not fit. */
function tokensThatFit(decoder: Decoder, promptTokens: number, maxTokens: number | undefined): number {
  if (promptTokens === 0)
    throw new InvalidArgumentError('the prompt has no tokens', { mend: 'Give it some text.' });
  // The last token that is generated is not put into the context.
  const room = decoder.contextLength - promptTokens + 1;
  if (room < 1 || (maxTokens ?? 0) > room) {
    throw new InvalidArgumentError(
      `a prompt of ${promptTokens} tokens and ${maxTokens ?? 1} more do not fit the context of ${decoder.contextLength}`,
      {
        mend: `Ask for fewer tokens, shorten the prompt, or load the model with a contextLength of up to ${decoder.config.contextLength}.`,
      },
    );
  }
  return maxTokens ?? room;
}
