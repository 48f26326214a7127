import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { InvalidArgumentError, MalformedFileError, UnsupportedError } from '@lbs/format';
import { isJsonObject, type JsonObject } from './json-file.js';
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
  const ported = portTokenizerJson(tokenizerJson, file);
  let tokenizer: HuggingFaceTokenizer;
  try {
    tokenizer = new HuggingFaceTokenizer(ported, tokenizerConfig);
  } catch (cause) {
    throw new UnsupportedError(`the tokenizer cannot be built (${(cause as Error).message})`, {
      file,
      mend: 'Check that the file is a tokenizer.json of Hugging Face tokenizers.',
      cause,
    });
  }
  const vocabularySize = vocabularySizeOf(tokenizer);
  const beginningOfSequence = tokenId(tokenizer, tokenizerConfig['bos_token']);
  const declared = tokenizerConfig['add_bos_token'];
  return {
    encode: (text) => (text === '' ? [] : tokenizer.encode(text, { add_special_tokens: false }).ids),
    decode(ids) {
      for (const id of ids) {
        if (Number.isInteger(id) && id >= 0) continue;
        throw new InvalidArgumentError(`${id} is not a token id`, { file });
      }
      const known = ids.filter((id) => id < vocabularySize);
      const options = {
        clean_up_tokenization_spaces: tokenizerConfig['clean_up_tokenization_spaces'] === true,
      };
      return known.length === 0 ? '' : tokenizer.decode(known, options);
    },
    vocabularySize,
    ...(beginningOfSequence === undefined ? {} : { beginningOfSequence }),
    addsBeginningOfSequence:
      beginningOfSequence !== undefined &&
      (typeof declared === 'boolean' ? declared : tokenizer.encode('').ids[0] === beginningOfSequence),
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
