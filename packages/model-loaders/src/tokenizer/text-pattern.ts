import * as library from '@huggingface/tokenizers';
import { MalformedFileError } from '@lbs/format';
import { isJsonObject } from '../config/json-file.js';

type SplitConstructor = new (json: object) => { readonly pattern: RegExp };

// Its declarations lose this class under Node's module resolution: they name a file without its end.
const SplitPreTokenizer = (library as unknown as { SplitPreTokenizer: SplitConstructor }).SplitPreTokenizer;

/**
 * The pattern of a part of a tokenizer.json as a regular expression of JavaScript with the flags g and u. Patterns are
 * written for Oniguruma; `@huggingface/tokenizers` translates them. An empty `String` gives undefined: it matches nothing.
 * Throws MalformedFileError.
 */
export function textPattern(pattern: unknown, file: string): RegExp | undefined {
  const { String: text, Regex: regex } = isJsonObject(pattern) ? pattern : {};
  if (typeof text === 'string' && text !== '') {
    return new RegExp(text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&'), 'gu');
  }
  if (text === '') return undefined;
  if (typeof regex === 'string') {
    try {
      return new SplitPreTokenizer({ pattern: { Regex: regex }, invert: false }).pattern;
    } catch (cause) {
      throw new MalformedFileError(`a pattern cannot be read (${(cause as Error).message.slice(0, 200)})`, {
        file,
        mend: 'Patterns are those of Oniguruma; \\G and full case folding are not known.',
        cause,
      });
    }
  }
  throw new MalformedFileError('a pattern has neither a String nor a Regex', {
    file,
    mend: 'Check that the file is a tokenizer.json of Hugging Face tokenizers.',
  });
}
