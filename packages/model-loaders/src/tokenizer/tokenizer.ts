import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { InvalidArgumentError, MalformedFileError, UnsupportedError } from '@lbs/format';
import { isJsonObject, type JsonObject } from '../config/json-file.js';
import { checkTokenizerJson } from './tokenizer-json-check.js';
import { portTokenizerJson } from './tokenizer-json-port.js';

/** Turns text into token ids and back. */
export interface Tokenizer {
  /** Ids of `text`. No special token is added; special tokens that are written out in the text are recognised. */
  encode(text: string): number[];
  /**
   * Text of `ids`, special tokens included. An id behind the vocabulary has no text: embedding matrices are often
   * padded, so that a model can choose one. Throws InvalidArgumentError for what is not an id.
   */
  decode(ids: readonly number[]): string;
  /** One more than the highest id. */
  readonly vocabularySize: number;
  /** Id of the token that begins a text, where the tokenizer names one. */
  readonly beginningOfSequence?: number;
  /** Whether the model expects that token in front of every text. */
  readonly addsBeginningOfSequence: boolean;
}

/**
 * Makes a tokenizer from the parsed `tokenizer.json` and `tokenizer_config.json`. Throws MalformedFileError or
 * UnsupportedError.
 */
export function createTokenizer(
  tokenizerJson: JsonObject,
  tokenizerConfig: JsonObject,
  file: string,
): Tokenizer {
  const { model } = tokenizerJson;
  if (!isJsonObject(model)) {
    throw new MalformedFileError('the tokenizer has no model', { file, mend: 'Download the file again.' });
  }
  checkTokenizerJson(tokenizerJson, model, file);
  const ported = portTokenizerJson(tokenizerJson, file);
  // Most parts of the file are believed until they are used, so that any use can find what it cannot do.
  const attempt = <T>(what: string, use: () => T): T => {
    try {
      return use();
    } catch (cause) {
      throw new UnsupportedError(`the tokenizer cannot ${what} (${(cause as Error).message})`, {
        file,
        mend: 'Check that the file is a tokenizer.json of Hugging Face tokenizers.',
        cause,
      });
    }
  };
  const tokenizer = attempt('be built', () => new HuggingFaceTokenizer(ported, tokenizerConfig));
  const encode = (text: string, options: { add_special_tokens: boolean }): (number | undefined)[] =>
    attempt('encode', () => tokenizer.encode(text, options).ids);
  const vocabularySize = vocabularySizeOf(tokenizer);
  const beginningOfSequence = tokenId(tokenizer, tokenizerConfig['bos_token']);
  const declared = tokenizerConfig['add_bos_token'];
  return {
    // What has no token, where the model names none for it, is dropped, as the Rust library drops it.
    encode: (text) =>
      text === ''
        ? []
        : encode(text, { add_special_tokens: false }).filter((id): id is number => id !== undefined),
    decode(ids) {
      for (const id of ids) {
        if (Number.isInteger(id) && id >= 0) continue;
        throw new InvalidArgumentError(`${id} is not a token id`, { file });
      }
      const known = ids.filter((id) => id < vocabularySize);
      const options = {
        clean_up_tokenization_spaces: tokenizerConfig['clean_up_tokenization_spaces'] === true,
      };
      return known.length === 0 ? '' : attempt('decode', () => tokenizer.decode(known, options));
    },
    vocabularySize,
    ...(beginningOfSequence === undefined ? {} : { beginningOfSequence }),
    addsBeginningOfSequence:
      beginningOfSequence !== undefined &&
      (typeof declared === 'boolean'
        ? declared
        : encode('', { add_special_tokens: true })[0] === beginningOfSequence),
  };
}

function vocabularySizeOf(tokenizer: HuggingFaceTokenizer): number {
  let highest = -1;
  for (const id of tokenizer.get_vocab().values()) highest = Math.max(highest, id);
  return highest + 1;
}

/** A special token is written as its text, or as an object that holds the text. */
function tokenId(tokenizer: HuggingFaceTokenizer, token: unknown): number | undefined {
  const text = isJsonObject(token) ? token['content'] : token;
  return typeof text === 'string' ? tokenizer.token_to_id(text) : undefined;
}
