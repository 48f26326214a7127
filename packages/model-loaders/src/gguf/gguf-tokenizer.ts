import { MalformedFileError, UnsupportedError } from '@lbs/format';
import { describeValue, type JsonObject } from '../config/json-file.js';
import type { GgufReader } from './gguf.js';
import type { GgufValue } from './gguf-metadata.js';
import { byteLevel, ggufPreTokenizers } from './gguf-pre-tokenizers.js';

/** Values of `tokenizer.ggml.token_type`. Tokens of the kinds 2 to 4 are found in the text before it is split. */
const NORMAL = 1;
const UNKNOWN = 2;
const CONTROL = 3;
const USER_DEFINED = 4;

/** The two files of a Hugging Face tokenizer. */
export interface TokenizerFiles {
  readonly tokenizerJson: JsonObject;
  readonly tokenizerConfig: JsonObject;
}

/** What of a tokenizer.json the kinds of tokenizers have particular to them. */
interface TokenizerKind {
  readonly json: JsonObject;
  readonly model: JsonObject;
  /** Whether texts begin with a special token where the metadata do not say. */
  readonly addsBeginningOfSequence: boolean;
}

/**
 * Builds the tokenizer files that the metadata of a GGUF file stand for. Throws UnsupportedError for models other than
 * byte-level BPE (`gpt2`) and SentencePiece's BPE (`llama`) and for pre-tokenizers that are not known, and MalformedFileError.
 */
export function tokenizerFilesOfGguf(
  { metadata }: Pick<GgufReader, 'metadata'>,
  file: string,
): TokenizerFiles {
  const tokens = list(metadata, 'tokens', 'string', file);
  const types = metadata.has('tokenizer.ggml.token_type') ? list(metadata, 'token_type', 'number', file) : [];
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  if (Object.keys(vocab).length !== tokens.length)
    throw malformed('tokenizer.ggml.tokens has a token twice', file);
  const kind = kindOf(metadata, tokens, types, file);

  const special = (name: string) => tokens[Number(metadata.get(`tokenizer.ggml.${name}_token_id`) ?? -1)];
  const begin = special('bos');
  const adds = metadata.get('tokenizer.ggml.add_bos_token') ?? kind.addsBeginningOfSequence;
  const chatTemplate = metadata.get('tokenizer.chat_template');
  return {
    tokenizerJson: {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: tokens.flatMap((content, id) => addedToken(content, id, types[id])),
      ...kind.json,
      post_processor: adds === true && begin !== undefined ? prepend(begin, vocab[begin]!) : null,
      model: {
        type: 'BPE',
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: false,
        vocab,
        ...kind.model,
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

function kindOf(
  metadata: GgufReader['metadata'],
  tokens: readonly string[],
  types: readonly number[],
  file: string,
): TokenizerKind {
  const model = metadata.get('tokenizer.ggml.model');
  if (model === 'gpt2') return byteLevelKind(metadata, file);
  if (model === 'llama') return sentencePieceKind(metadata, tokens, types, file);
  throw new UnsupportedError(`tokenizer.ggml.model is ${describeValue(model)}`, {
    file,
    mend: 'Known: gpt2 (byte-level BPE), llama (BPE of SentencePiece). Use the Hugging Face directory of the model.',
  });
}

function byteLevelKind(metadata: GgufReader['metadata'], file: string): TokenizerKind {
  const pre = metadata.get('tokenizer.ggml.pre');
  if (typeof pre !== 'string' || !Object.hasOwn(ggufPreTokenizers, pre)) {
    throw new UnsupportedError(`tokenizer.ggml.pre is ${describeValue(pre)}`, {
      file,
      mend: `Known: ${Object.keys(ggufPreTokenizers).join(', ')}. Use the Hugging Face directory of the model.`,
    });
  }
  const { preTokenizers, normalizer, ignoreMerges, addsBeginningOfSequence } = ggufPreTokenizers[pre]!;
  const merges = list(metadata, 'merges', 'string', file);
  return {
    json: {
      normalizer: normalizer ?? null,
      pre_tokenizer: { type: 'Sequence', pretokenizers: preTokenizers },
      decoder: byteLevel(true),
    },
    model: { ignore_merges: ignoreMerges ?? false, merges: merges.map((merge) => splitMerge(merge, file)) },
    addsBeginningOfSequence: addsBeginningOfSequence ?? false,
  };
}

/** SentencePiece writes spaces as this character, and mostly one before the text. */
const METASPACE = '\u2581';

function sentencePieceKind(
  metadata: GgufReader['metadata'],
  tokens: readonly string[],
  types: readonly number[],
  file: string,
): TokenizerKind {
  const scores = list(metadata, 'scores', 'number', file);
  if (scores.length !== tokens.length || types.length !== tokens.length) {
    throw malformed(
      `tokenizer.ggml has ${tokens.length} tokens, ${scores.length} scores and ${types.length} types`,
      file,
    );
  }
  const prefixes = metadata.get('tokenizer.ggml.add_space_prefix') !== false;
  const replace = (from: string, to: string) => ({ type: 'Replace', pattern: { String: from }, content: to });
  const toMetaspace = replace(' ', METASPACE);
  const unknown = tokens[types.indexOf(UNKNOWN)];
  return {
    json: {
      normalizer: prefixes
        ? { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: METASPACE }, toMetaspace] }
        : toMetaspace,
      pre_tokenizer: null,
      decoder: {
        type: 'Sequence',
        decoders: [
          replace(METASPACE, ' '),
          { type: 'ByteFallback' },
          { type: 'Fuse' },
          ...(prefixes ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
        ],
      },
    },
    model: {
      ...(unknown === undefined ? {} : { unk_token: unknown }),
      fuse_unk: true,
      byte_fallback: true,
      merges: mergesOfScores(tokens, scores, types),
    },
    addsBeginningOfSequence: true,
  };
}

/**
 * The merges that scores stand for, in the order in which transformers puts them: SentencePiece joins the two pieces whose
 * whole has the best score; of the ways to put a piece together, those with the longer left part come first.
 */
function mergesOfScores(
  tokens: readonly string[],
  scores: readonly number[],
  types: readonly number[],
): readonly (readonly [string, string])[] {
  const normal = new Map(tokens.flatMap((token, id) => (types[id] === NORMAL ? [[token, id] as const] : [])));
  const merges: {
    readonly pair: readonly [string, string];
    readonly score: number;
    readonly left: number;
  }[] = [];
  for (const [token, id] of normal) {
    const characters = [...token];
    let left = '';
    for (let i = 1; i < characters.length; i++) {
      left += characters[i - 1];
      const right = token.slice(left.length);
      if (normal.has(left) && normal.has(right))
        merges.push({ pair: [left, right], score: scores[id]!, left: i });
    }
  }
  merges.sort((a, b) => b.score - a.score || b.left - a.left);
  return merges.map(({ pair }) => pair);
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
  if (type !== UNKNOWN && type !== CONTROL && type !== USER_DEFINED) return [];
  return [
    {
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: type !== USER_DEFINED,
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
