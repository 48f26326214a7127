import type { ModelSource, Tokenizer } from '@lbs/model-loaders';
import { type Decoder, type DecoderOptions, loadDecoder } from '../decoder/decoder.js';
import {
  continuePrompt,
  type GeneratedPiece,
  type GenerationOptions,
  type GenerationResult,
} from './generation.js';
import { stopTokensOf } from './stop-tokens.js';

/**
 * A decoder with its tokenizer: text in, text or logits out. It is an `EvaluatedModel` of the evaluation harness.
 */
export interface LanguageModel {
  readonly name: string;
  readonly decoder: Decoder;
  /** Has the chat template, and tells about tokens. */
  readonly tokenizer: Tokenizer;
  readonly vocabularySize: number;
  readonly contextLength: number;
  readonly beginningOfSequence?: number;
  /** Whether `encode` puts the beginning of sequence before every text. */
  readonly addsBeginningOfSequence: boolean;
  /** A generation ends before one of these, unless it is told others: ends of a sequence and of a turn. */
  readonly stopTokens: readonly number[];
  encode(text: string): number[];
  decode(tokens: readonly number[]): string;
  logits: Decoder['logits'];
  continuations: Decoder['continuations'];
  /**
   * What follows a prompt, piece by piece as it is computed; the generator returns what `generate` gives. Leave it early with `break`, or
   * abort its signal. Throws InvalidArgumentError where the prompt is empty or does not fit the context together with `maxTokens`, and for
   * options out of their range; when aborted, the signal's reason.
   */
  stream(
    prompt: readonly number[],
    options?: GenerationOptions,
  ): AsyncGenerator<GeneratedPiece, GenerationResult, undefined>;
  /** What follows a prompt, as a whole. Throws as `stream` does. */
  generate(prompt: readonly number[], options?: GenerationOptions): Promise<GenerationResult>;
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
  const stopTokens = stopTokensOf(source);
  const stream: LanguageModel['stream'] = (prompt, streamOptions) =>
    continuePrompt({ decoder, tokenizer, stopTokens }, prompt, streamOptions);
  return {
    name: source.name,
    decoder,
    tokenizer,
    vocabularySize: config.vocabularySize,
    contextLength: decoder.contextLength,
    ...(beginningOfSequence !== undefined && { beginningOfSequence }),
    addsBeginningOfSequence,
    stopTokens,
    encode: (text) => [...beginning, ...tokenizer.encode(text)],
    decode: (tokens) => tokenizer.decode(tokens),
    logits: decoder.logits,
    continuations: decoder.continuations,
    close: decoder.close,
    stream,
    async generate(prompt, generationOptions) {
      const pieces = stream(prompt, generationOptions);
      for (;;) {
        const { done, value } = await pieces.next();
        if (done) return value;
      }
    },
  };
}
