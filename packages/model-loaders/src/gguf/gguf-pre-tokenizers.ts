import type { JsonObject } from '../config/json-file.js';

/** What a value of `tokenizer.ggml.pre` stands for in a tokenizer.json. */
export interface GgufPreTokenizer {
  readonly preTokenizers: readonly JsonObject[];
  readonly normalizer?: JsonObject;
  /** A word that is a token is not merged together from its bytes. */
  readonly ignoreMerges?: boolean;
  /** Whether texts begin with a special token where the metadata do not say. */
  readonly addsBeginningOfSequence?: boolean;
}

export const byteLevel = (useRegex: boolean) => ({
  type: 'ByteLevel',
  add_prefix_space: false,
  trim_offsets: true,
  use_regex: useRegex,
});

const split = (pattern: string) => ({
  type: 'Split',
  pattern: { Regex: pattern },
  behavior: 'Isolated',
  invert: false,
});

const digits = (individual: boolean) => ({ type: 'Digits', individual_digits: individual });

const contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";

/** The pattern of cl100k, with so many digits at a time. */
const cl100k = (digits: string) =>
  split(
    `${contractions}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`,
  );

const upperCase = '[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]';
const lowerCase = '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]';

/** The pattern of o200k, which also splits where a capital letter follows a small one. */
const o200k = (digits: string, suffix: string) =>
  split(
    `[^\\r\\n\\p{L}\\p{N}]?${upperCase}*${lowerCase}+${suffix}|[^\\r\\n\\p{L}\\p{N}]?${upperCase}+${lowerCase}*${suffix}|` +
      `\\p{N}${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`,
  );

const nfc = { type: 'NFC' };
const gpt2: GgufPreTokenizer = { preTokenizers: [byteLevel(true)] };
const gpt2Nfc: GgufPreTokenizer = { ...gpt2, normalizer: nfc };
const gpt2Digits: GgufPreTokenizer = { preTokenizers: [digits(true), byteLevel(true)] };
const qwen2: GgufPreTokenizer = { preTokenizers: [cl100k(''), byteLevel(false)], normalizer: nfc };
const gpt4o: GgufPreTokenizer = {
  preTokenizers: [o200k('{1,3}', `${contractions}?`), byteLevel(false)],
  ignoreMerges: true,
};
const llama3: GgufPreTokenizer = {
  preTokenizers: [cl100k('{1,3}'), byteLevel(false)],
  ignoreMerges: true,
  addsBeginningOfSequence: true,
};

/** By the values of `tokenizer.ggml.pre`, of equal ones first that which is written, as the tokenizer.json files of the models have it that these stand for. */
export const ggufPreTokenizers: Readonly<Record<string, GgufPreTokenizer>> = {
  'gpt-2': gpt2,
  'phi-2': gpt2,
  olmo: gpt2Nfc,
  mpt: gpt2Nfc,
  smollm: gpt2Digits,
  starcoder: gpt2Digits,
  refact: gpt2Digits,
  'command-r': { ...gpt2Digits, normalizer: nfc },
  'llama-bpe': llama3,
  llama3,
  'llama-v3': llama3,
  falcon3: llama3,
  dbrx: { preTokenizers: llama3.preTokenizers },
  qwen2,
  'deepseek-r1-qwen': qwen2,
  stablelm2: { preTokenizers: qwen2.preTokenizers },
  'gpt-4o': gpt4o,
  llama4: gpt4o,
  tekken: {
    preTokenizers: [o200k('', ''), byteLevel(false)],
    ignoreMerges: true,
    addsBeginningOfSequence: true,
  },
  falcon: {
    preTokenizers: [
      { type: 'Punctuation', behavior: 'Contiguous' },
      byteLevel(true),
      digits(false),
      split('[0-9][0-9][0-9]'),
    ],
  },
  'deepseek-coder': {
    preTokenizers: [
      split('[\r\n]'),
      split('\\s?\\p{L}+'),
      split('\\s?\\p{P}+'),
      split('[一-龥ࠀ-一가-퟿]+'),
      digits(true),
      byteLevel(false),
    ],
  },
  'deepseek-v3': {
    preTokenizers: [
      split('\\p{N}{1,3}'),
      split('[一-龥぀-ゟ゠-ヿ]+'),
      split(
        '[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+',
      ),
      byteLevel(false),
    ],
  },
};
