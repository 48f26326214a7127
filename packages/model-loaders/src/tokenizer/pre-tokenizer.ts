import { byteAlphabet } from './byte-alphabet.js';
import { textPattern } from './text-pattern.js';
import { type SplitBehavior, splitBehaviors, splitText } from './text-split.js';
import { createPart, malformedField, type PartFactory } from './tokenizer-part.js';

/** Splits pieces of a text into the words that the model takes apart. `begins` says whether the first begins the text. */
export type PreTokenizer = (pieces: readonly string[], begins: boolean) => readonly string[];

/** Pattern of GPT-2, with the white space of Unicode: that of JavaScript lacks U+0085 and has U+FEFF. */
const gpt2Pattern =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

const each =
  (split: (piece: string) => readonly string[]): PreTokenizer =>
  (pieces) =>
    pieces.flatMap(split);

const splitAt = (pattern: RegExp, behavior: SplitBehavior, invert = false): PreTokenizer =>
  each((piece) => splitText(piece, pattern, behavior, invert));

const utf8 = new TextEncoder();

/** Writes the bytes of a text as characters of the byte alphabet. */
export function byteLevelText(text: string): string {
  let result = '';
  for (const byte of utf8.encode(text)) result += byteAlphabet[byte];
  return result;
}

/** By the types of tokenizer.json. */
const factories: Readonly<Record<string, PartFactory<PreTokenizer>>> = {
  Sequence(json, file) {
    const parts = json['pretokenizers'];
    if (!Array.isArray(parts)) throw malformedField('pretokenizers', parts, file);
    const all = parts.map((part) => createPreTokenizer(part, file));
    return (pieces, begins) => all.reduce((split, next) => next(split, begins), pieces);
  },
  ByteLevel: ({ add_prefix_space: prefix, use_regex: splits }) =>
    each((piece) => {
      const text = prefix === true && !piece.startsWith(' ') ? ` ${piece}` : piece;
      return (splits === false ? [text] : splitText(text, gpt2Pattern, 'Isolated')).map(byteLevelText);
    }),
  Split(json, file) {
    const pattern = textPattern(json['pattern'], file);
    const behavior = behaviorOf(json['behavior'], file);
    return pattern ? splitAt(pattern, behavior, json['invert'] === true) : (pieces) => pieces;
  },
  Digits: ({ individual_digits: individual }) =>
    splitAt(/\p{N}/gu, individual === true ? 'Isolated' : 'Contiguous'),
  Punctuation: ({ behavior }, file) =>
    splitAt(/[\p{P}!-/:-@[-`{-~]/gu, behaviorOf(behavior ?? 'Isolated', file)),
  WhitespaceSplit: () => splitAt(/\p{White_Space}/gu, 'Removed'),
  Whitespace: () =>
    splitAt(
      /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}\p{White_Space}]+/gu,
      'Removed',
      true,
    ),
  Metaspace(json, file) {
    const { replacement = '▁', split, add_prefix_space: prefix } = json;
    const scheme = json['prepend_scheme'] ?? (prefix === false ? 'never' : 'always');
    if (typeof replacement !== 'string' || replacement === '')
      throw malformedField('replacement', replacement, file);
    const pattern = textPattern({ String: replacement }, file)!;
    return (pieces, begins) =>
      pieces.flatMap((piece, i) => {
        const text = piece.replaceAll(' ', replacement);
        const prepends = scheme === 'always' || (scheme === 'first' && begins && i === 0);
        const whole = prepends && !text.startsWith(replacement) ? replacement + text : text;
        return split === false ? [whole] : splitText(whole, pattern, 'MergedWithNext');
      });
  },
};

/** Makes the pre-tokenizer of a tokenizer.json. Throws UnsupportedError and MalformedFileError. */
export function createPreTokenizer(json: unknown, file: string): PreTokenizer {
  if (json === null || json === undefined) return (pieces) => pieces;
  return createPart('pre-tokenizer', factories, json, file);
}

function behaviorOf(value: unknown, file: string): SplitBehavior {
  const behavior = splitBehaviors.find((name) => name === value);
  if (!behavior) throw malformedField('the behavior of a split', value, file);
  return behavior;
}
