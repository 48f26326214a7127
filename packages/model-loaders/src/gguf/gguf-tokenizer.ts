import { MalformedFileError, UnsupportedError } from '@lbs/format';
import { describeValue, type JsonObject } from '../config/json-file.js';
import type { GgufReader } from './gguf.js';
import type { GgufValue } from './gguf-metadata.js';

/** What a value of `tokenizer.ggml.pre` stands for. */
export interface PreTokenizerKind {
  readonly preTokenizers: readonly JsonObject[];
  readonly normalizer?: JsonObject;
  /** A word that is a token is not merged together from its bytes. */
  readonly ignoreMerges?: boolean;
  /** Whether texts begin with a special token where the metadata do not say. */
  readonly addsBeginningOfSequence?: boolean;
}

const byteLevel = (useRegex: boolean) => ({
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

/** The pattern of cl100k, with so many digits at a time. */
const cl100kSplit = (digits: string) =>
  split(
    `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`,
  );

const llama3: PreTokenizerKind = {
  preTokenizers: [cl100kSplit('{1,3}'), byteLevel(false)],
  ignoreMerges: true,
  addsBeginningOfSequence: true,
};

/** By their names in `tokenizer.ggml.pre`. */
export const preTokenizerKinds: Readonly<Record<string, PreTokenizerKind>> = {
  'gpt-2': { preTokenizers: [byteLevel(true)] },
  smollm: { preTokenizers: [{ type: 'Digits', individual_digits: true }, byteLevel(true)] },
  'llama-bpe': llama3,
  llama3,
  qwen2: { preTokenizers: [cl100kSplit(''), byteLevel(false)], normalizer: { type: 'NFC' } },
};

/** Values of `tokenizer.ggml.token_type` whose tokens are found in the text before it is split. */
const CONTROL = 3;
const USER_DEFINED = 4;

/** The two files of a Hugging Face tokenizer. */
export interface TokenizerFiles {
  readonly tokenizerJson: JsonObject;
  readonly tokenizerConfig: JsonObject;
}

/**
 * Builds the tokenizer files that the metadata of a GGUF file stand for. Throws UnsupportedError for models other
 * than byte-level BPE and for pre-tokenizers that are not known, and MalformedFileError.
 */
export function tokenizerFilesOfGguf(
  { metadata }: Pick<GgufReader, 'metadata'>,
  file: string,
): TokenizerFiles {
  const kind = kindOf(metadata, file);
  const tokens = list(metadata, 'tokens', 'string', file);
  const types = metadata.has('tokenizer.ggml.token_type') ? list(metadata, 'token_type', 'number', file) : [];
  const merges = list(metadata, 'merges', 'string', file);
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  if (Object.keys(vocab).length !== tokens.length)
    throw malformed('tokenizer.ggml.tokens has a token twice', file);

  const special = (name: string) => tokens[Number(metadata.get(`tokenizer.ggml.${name}_token_id`) ?? -1)];
  const begin = special('bos');
  const adds = metadata.get('tokenizer.ggml.add_bos_token') ?? kind.addsBeginningOfSequence ?? false;
  const chatTemplate = metadata.get('tokenizer.chat_template');
  return {
    tokenizerJson: {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: tokens.flatMap((content, id) => addedToken(content, id, types[id])),
      normalizer: kind.normalizer ?? null,
      pre_tokenizer: { type: 'Sequence', pretokenizers: kind.preTokenizers },
      post_processor: adds === true && begin !== undefined ? prepend(begin, vocab[begin]!) : null,
      decoder: byteLevel(true),
      model: {
        type: 'BPE',
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: kind.ignoreMerges ?? false,
        vocab,
        merges: merges.map((merge) => splitMerge(merge, file)),
      },
    },
    tokenizerConfig: {
      tokenizer_class: 'PreTrainedTokenizerFast',
      ...(begin === undefined ? {} : { bos_token: begin }),
      ...(special('eos') === undefined ? {} : { eos_token: special('eos') }),
      ...(special('unknown') === undefined ? {} : { unk_token: special('unknown') }),
      ...(special('padding') === undefined ? {} : { pad_token: special('padding') }),
      add_bos_token: adds === true,
      clean_up_tokenization_spaces: false,
      ...(typeof chatTemplate === 'string' ? { chat_template: chatTemplate } : {}),
    },
  };
}

function kindOf(metadata: GgufReader['metadata'], file: string): PreTokenizerKind {
  const model = metadata.get('tokenizer.ggml.model');
  if (model !== 'gpt2') {
    throw new UnsupportedError(`tokenizer.ggml.model is ${describeValue(model)}`, {
      file,
      mend: 'Known: gpt2 (byte-level BPE). Use the Hugging Face directory of the model.',
    });
  }
  const pre = metadata.get('tokenizer.ggml.pre');
  if (typeof pre !== 'string' || !Object.hasOwn(preTokenizerKinds, pre)) {
    throw new UnsupportedError(`tokenizer.ggml.pre is ${describeValue(pre)}`, {
      file,
      mend: `Known: ${Object.keys(preTokenizerKinds).join(', ')}. Use the Hugging Face directory of the model.`,
    });
  }
  return preTokenizerKinds[pre]!;
}

function list(
  metadata: GgufReader['metadata'],
  name: string,
  type: 'string',
  file: string,
): readonly string[];
function list(
  metadata: GgufReader['metadata'],
  name: string,
  type: 'number',
  file: string,
): readonly number[];
function list(
  metadata: GgufReader['metadata'],
  name: string,
  type: string,
  file: string,
): readonly GgufValue[] {
  const values = metadata.get(`tokenizer.ggml.${name}`);
  if (Array.isArray(values) && values.every((value) => typeof value === type)) return values;
  throw malformed(`tokenizer.ggml.${name} is not a list of ${type}s`, file);
}

function addedToken(content: string, id: number, type: number | undefined): readonly JsonObject[] {
  if (type !== CONTROL && type !== USER_DEFINED) return [];
  return [
    {
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: type === CONTROL,
    },
  ];
}

/** A merge is two tokens and a space between; neither token is empty, and neither contains a space. */
function splitMerge(merge: string, file: string): readonly [string, string] {
  const space = merge.indexOf(' ', 1);
  if (space < 0) throw malformed(`the merge ${describeValue(merge)} has no space`, file);
  return [merge.slice(0, space), merge.slice(space + 1)];
}

function prepend(token: string, id: number): JsonObject {
  const begin = { SpecialToken: { id: token, type_id: 0 } };
  const sequence = (name: string, type: number) => ({ Sequence: { id: name, type_id: type } });
  return {
    type: 'TemplateProcessing',
    single: [begin, sequence('A', 0)],
    pair: [begin, sequence('A', 0), begin, sequence('B', 1)],
    special_tokens: { [token]: { id: token, ids: [id], tokens: [token] } },
  };
}

function malformed(problem: string, file: string): MalformedFileError {
  return new MalformedFileError(problem, { file, mend: 'Convert the model again.' });
}
