import { InvalidArgumentError } from '@lbs/format';
import type { ModelSource } from '@lbs/model-loaders';
import { type Decoder, type DecoderOptions, loadDecoder } from '../decoder/decoder.js';
import { createSampler, type SamplingOptions } from './sampling.js';

/** Options of a generation that is read token by token. */
export interface StreamOptions extends SamplingOptions {
  /** Most tokens to generate. Default: what the context has left. */
  readonly maxTokens?: number;
  /** Generation ends before one of these. Default: the model's end of sequence. */
  readonly stopTokens?: readonly number[];
  readonly signal?: AbortSignal | undefined;
}

/** Options of a greedy continuation, as the evaluation harness asks for it. */
export interface GenerateOptions {
  readonly maximumTokens: number;
  /** Texts before which the generation stops. */
  readonly until: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

/**
 * A decoder with its tokenizer: text in, text or logits out. It is an `EvaluatedModel` of the evaluation harness.
 */
export interface LanguageModel {
  readonly name: string;
  readonly decoder: Decoder;
  readonly vocabularySize: number;
  readonly contextLength: number;
  readonly beginningOfSequence?: number;
  /** Whether `encode` puts the beginning of sequence before every text. */
  readonly addsBeginningOfSequence: boolean;
  encode(text: string): number[];
  decode(tokens: readonly number[]): string;
  logits: Decoder['logits'];
  /** The tokens that follow a prompt, one by one as they are computed. */
  stream(prompt: readonly number[], options?: StreamOptions): AsyncGenerator<number, void, undefined>;
  /** The most likely continuation of a prompt, as text, up to a stop text (left out). */
  generate(prompt: readonly number[], options: GenerateOptions): Promise<string>;
  /** Ends the threads of the decoder, as `Decoder.close` does. */
  close: Decoder['close'];
}

/** Loads a model for running. */
export async function loadLanguageModel(
  source: ModelSource,
  options?: DecoderOptions,
): Promise<LanguageModel> {
  const { tokenizer, config } = source;
  const decoder = await loadDecoder(source, options);
  const { beginningOfSequence, addsBeginningOfSequence } = tokenizer;
  const beginning = addsBeginningOfSequence && beginningOfSequence !== undefined ? [beginningOfSequence] : [];
  const decode = (tokens: readonly number[]) => tokenizer.decode(tokens);
  return {
    name: source.name,
    decoder,
    vocabularySize: config.vocabularySize,
    contextLength: decoder.contextLength,
    ...(beginningOfSequence !== undefined && { beginningOfSequence }),
    addsBeginningOfSequence,
    encode: (text) => [...beginning, ...tokenizer.encode(text)],
    decode,
    logits: decoder.logits,
    close: decoder.close,
    stream: (prompt, streamOptions) => stream(decoder, prompt, streamOptions),
    generate: (prompt, generateOptions) => generate(decoder, decode, prompt, generateOptions),
  };
}

async function* stream(
  decoder: Decoder,
  prompt: readonly number[],
  { maxTokens, stopTokens, signal, ...sampling }: StreamOptions = {},
): AsyncGenerator<number, void, undefined> {
  if (prompt.length === 0)
    throw new InvalidArgumentError('the prompt has no tokens', { mend: 'Give it some text.' });
  const { endOfSequence } = decoder.config;
  const stops = new Set(stopTokens ?? (endOfSequence === undefined ? [] : [endOfSequence]));
  // The last token that is generated is not put into the context.
  const room = decoder.contextLength - prompt.length + 1;
  if (room < 1 || (maxTokens ?? 0) > room) {
    throw new InvalidArgumentError(
      `a prompt of ${prompt.length} tokens and ${maxTokens ?? 1} more do not fit the context of ${decoder.contextLength}`,
      {
        mend: `Ask for fewer tokens, or load the model with a contextLength of up to ${decoder.config.contextLength}.`,
      },
    );
  }
  const sample = createSampler(sampling);
  const tokens = [...prompt];
  for (let count = 0; count < (maxTokens ?? room); count++) {
    const token = sample(await decoder.logits(tokens, tokens.length - 1, { signal }));
    if (stops.has(token)) return;
    yield token;
    tokens.push(token);
  }
}

async function generate(
  decoder: Decoder,
  decode: (tokens: readonly number[]) => string,
  prompt: readonly number[],
  { maximumTokens, until, signal }: GenerateOptions,
): Promise<string> {
  const tokens: number[] = [];
  let text = '';
  for await (const token of stream(decoder, prompt, { maxTokens: maximumTokens, signal })) {
    tokens.push(token);
    text = decode(tokens);
    const stops = until.map((stop) => text.indexOf(stop)).filter((place) => place >= 0);
    if (stops.length > 0) return text.slice(0, Math.min(...stops));
  }
  return text;
}
