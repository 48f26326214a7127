import { UnsupportedError } from '@lbs/format';
import { describeValue, isJsonObject, type JsonObject } from '../config/json-file.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { type GgufPreTokenizer, ggufPreTokenizers } from './gguf-pre-tokenizers.js';
import { type TokenizerFiles, tokenizerFilesOfGguf } from './gguf-tokenizer.js';
import { type GgufTypedValue, plainMetadata, typed } from './gguf-typed-value.js';

/** Values of `tokenizer.ggml.token_type`. */
const tokenTypes = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** Special tokens by their names in tokenizer_config.json and in GGUF. */
const specialTokens = {
  bos_token: 'bos',
  eos_token: 'eos',
  unk_token: 'unknown',
  pad_token: 'padding',
} as const;

/**
 * The metadata that stand for a tokenizer: what `tokenizerFilesOfGguf` reads. `rows` is the size of the embedding, of
 * which each row has a token. Throws UnsupportedError for tokenizers other than byte-level BPE and SentencePiece's BPE, for
 * pre-tokenizers that llama.cpp does not have, and for merges that are not those of the vocabulary's scores.
 */
export function ggufTokenizerMetadata(
  { tokenizerJson, tokenizerConfig }: TokenizerFiles,
  { addsBeginningOfSequence }: Pick<Tokenizer, 'addsBeginningOfSequence'>,
  rows: number,
  file: string,
): ReadonlyMap<string, GgufTypedValue> {
  const { model } = tokenizerJson;
  if (!isJsonObject(model) || model['type'] !== 'BPE' || !isJsonObject(model['vocab'])) {
    throw new UnsupportedError(
      `a tokenizer of the kind ${describeValue(isJsonObject(model) ? model['type'] : model)} cannot be written as GGUF`,
      { file, mend: 'Known: BPE. Convert the model with convert_hf_to_gguf.py of llama.cpp.' },
    );
  }
  const { tokens, types } = vocabularyOf(tokenizerJson, model, rows);
  const idOf = new Map(tokens.map((token, id) => [token, id]));
  const merges = mergesOf(model);
  const metadata = new Map<string, GgufTypedValue>([
    ...(model['byte_fallback'] === true
      ? sentencePieceMetadata(tokenizerJson, idOf, merges, file)
      : byteLevelMetadata(tokenizerJson, model, merges, file)),
    ['tokenizer.ggml.tokens', typed.strings(tokens)],
    ['tokenizer.ggml.token_type', typed.int32s(types)],
  ]);
  for (const [name, ggufName] of Object.entries(specialTokens)) {
    const token = tokenizerConfig[name];
    const text = isJsonObject(token) ? token['content'] : token;
    const id = typeof text === 'string' ? idOf.get(text) : undefined;
    if (id !== undefined) metadata.set(`tokenizer.ggml.${ggufName}_token_id`, typed.uint32(id));
  }
  metadata.set('tokenizer.ggml.add_bos_token', typed.bool(addsBeginningOfSequence));
  const template = tokenizerConfig['chat_template'];
  if (typeof template === 'string') metadata.set('tokenizer.chat_template', typed.string(template));
  assertSameMerges(metadata, merges, file);
  return metadata;
}

function byteLevelMetadata(
  tokenizerJson: JsonObject,
  model: JsonObject,
  merges: readonly Merge[],
  file: string,
): readonly (readonly [string, GgufTypedValue])[] {
  const pre = preTokenizerOf(tokenizerJson, model, file);
  const spaced = merges.find((merge) => merge.some((token) => token.includes(' ')));
  if (spaced) {
    throw new UnsupportedError(`the merge ${describeValue(spaced.join(' '))} has a token with a space`, {
      file,
      mend: 'Tokens of byte-level BPE have none. Convert the model with convert_hf_to_gguf.py of llama.cpp.',
    });
  }
  return [
    ['tokenizer.ggml.model', typed.string('gpt2')],
    ['tokenizer.ggml.pre', typed.string(pre)],
    ['tokenizer.ggml.merges', typed.strings(merges.map((merge) => merge.join(' ')))],
  ];
}

/** SentencePiece has no merges, but scores: the earlier a token is put together, the better is its score. */
function sentencePieceMetadata(
  tokenizerJson: JsonObject,
  idOf: ReadonlyMap<string, number>,
  merges: readonly Merge[],
  file: string,
): readonly (readonly [string, GgufTypedValue])[] {
  const prefixes = spacePrefixes.get(pipelineOf(tokenizerJson));
  if (prefixes === undefined) {
    throw new UnsupportedError('llama.cpp has no SentencePiece with such a normalizer and pre-tokenizer', {
      file,
      mend: 'Convert the model with convert_hf_to_gguf.py of llama.cpp.',
    });
  }
  const scores: number[] = Array(idOf.size).fill(0);
  for (const [rank, token] of [...new Set(merges.map(([left, right]) => left + right))].entries()) {
    const id = idOf.get(token);
    if (id !== undefined) scores[id] = -rank - 1;
  }
  return [
    ['tokenizer.ggml.model', typed.string('llama')],
    ['tokenizer.ggml.pre', typed.string('default')],
    ['tokenizer.ggml.scores', typed.float32s(scores)],
    ['tokenizer.ggml.add_space_prefix', typed.bool(prefixes)],
  ];
}

const METASPACE = '\u2581';
const toMetaspace = { type: 'Replace', pattern: { String: ' ' }, content: METASPACE };

/** Whether a text gets a space in front, by what tokenizers of SentencePiece do before the merges. */
const spacePrefixes: ReadonlyMap<string, boolean> = new Map([
  [pipelineOf({ normalizer: [{ type: 'Prepend', prepend: METASPACE }, toMetaspace] }), true],
  [pipelineOf({ normalizer: [toMetaspace] }), false],
  // What has no spaces any more cannot be split at one.
  [
    pipelineOf({
      normalizer: [toMetaspace],
      pre_tokenizer: [{ type: 'Split', pattern: { String: ' ' }, behavior: 'MergedWithPrevious' }],
    }),
    false,
  ],
]);

function pipelineOf({ normalizer, pre_tokenizer: preTokenizer }: JsonObject): string {
  return JSON.stringify([steps([normalizer].flat()), steps([preTokenizer].flat())]);
}

/** What GGUF cannot say of special tokens, as a sentence for the user; undefined where there is nothing. */
export function lostTokenFlags({ tokenizerJson }: Pick<TokenizerFiles, 'tokenizerJson'>): string | undefined {
  const flags = ['lstrip', 'rstrip', 'single_word'];
  const added = (tokenizerJson['added_tokens'] ?? []) as readonly JsonObject[];
  const flagged = added.filter((token) => flags.some((flag) => token[flag] === true));
  if (flagged.length === 0) return undefined;
  return `${flagged.length} special tokens such as ${describeValue(flagged[0]!['content'])} take the spaces beside them, or stand alone only, which GGUF cannot say: texts with them may get other tokens.`;
}

/** Throws UnsupportedError unless the merges that are read from the metadata will be those of the tokenizer. */
function assertSameMerges(
  metadata: ReadonlyMap<string, GgufTypedValue>,
  merges: readonly Merge[],
  file: string,
): void {
  const { tokenizerJson } = tokenizerFilesOfGguf({ metadata: plainMetadata(metadata) }, file);
  const found = mergesOf(tokenizerJson['model'] as JsonObject);
  const differing = merges.findIndex((merge, i) => merge[0] !== found[i]?.[0] || merge[1] !== found[i]?.[1]);
  if (differing < 0 && found.length === merges.length) return;
  const [expected, read] = [merges[differing], found[differing]].map((merge) =>
    describeValue(merge?.join(' ')),
  );
  throw new UnsupportedError(
    `merge ${differing} of the tokenizer is ${expected}; of its scores it would be ${read}`,
    {
      file,
      mend: 'Convert the model with convert_hf_to_gguf.py of llama.cpp, from its tokenizer.model.',
    },
  );
}

/** Rows of the embedding that no token has get one that no text can have. */
function vocabularyOf(tokenizerJson: JsonObject, model: JsonObject, rows: number) {
  const tokens = Array.from({ length: rows }, (_, id) => `[PAD${id}]`);
  const types: number[] = Array(rows).fill(tokenTypes.unused);
  const put = (id: unknown, token: string, type: number) => {
    if (typeof id !== 'number' || id >= rows) return;
    tokens[id] = token;
    types[id] = type;
  };
  const hasBytes = model['byte_fallback'] === true;
  for (const [token, id] of Object.entries(model['vocab'] as JsonObject)) {
    put(id, token, hasBytes && /^<0x[0-9A-F]{2}>$/.test(token) ? tokenTypes.byte : tokenTypes.normal);
  }
  for (const added of (tokenizerJson['added_tokens'] ?? []) as readonly JsonObject[]) {
    const special =
      hasBytes && added['content'] === model['unk_token'] ? tokenTypes.unknown : tokenTypes.control;
    put(
      added['id'],
      added['content'] as string,
      added['special'] === true ? special : tokenTypes.userDefined,
    );
  }
  return { tokens, types };
}

type Merge = readonly [left: string, right: string];

/** Merges are pairs, or texts with a space between the two. */
function mergesOf(model: JsonObject): readonly Merge[] {
  const merges = (model['merges'] ?? []) as readonly (string | Merge)[];
  return merges.map((merge) => {
    if (typeof merge !== 'string') return merge;
    const space = merge.indexOf(' ', 1);
    return [merge.slice(0, space), merge.slice(space + 1)];
  });
}

/** The name that llama.cpp has for what happens to a text before the merges. */
function preTokenizerOf(tokenizerJson: JsonObject, model: JsonObject, file: string): string {
  const found = fingerprint({
    preTokenizers: [tokenizerJson['pre_tokenizer']].filter(isJsonObject),
    normalizer: isJsonObject(tokenizerJson['normalizer']) ? tokenizerJson['normalizer'] : undefined,
    ignoreMerges: model['ignore_merges'] === true,
  });
  const known = Object.entries(ggufPreTokenizers).find(([, kind]) => fingerprint(kind) === found);
  if (known) return known[0];
  throw new UnsupportedError('llama.cpp has no name that is known here for the pre-tokenizer', {
    file,
    mend: `Known: ${Object.keys(ggufPreTokenizers).join(', ')}. Convert the model with convert_hf_to_gguf.py of llama.cpp.`,
  });
}

type Pipeline = Pick<GgufPreTokenizer, 'preTokenizers'> & {
  readonly normalizer?: JsonObject | undefined;
  readonly ignoreMerges?: boolean;
};

/** Equal for pipelines that make the same words of every text. */
function fingerprint({ preTokenizers, normalizer, ignoreMerges = false }: Pipeline): string {
  return JSON.stringify([steps(preTokenizers), steps(normalizer ? [normalizer] : []), ignoreMerges]);
}

/** The parts of sequences one behind the other, with what changes their result and defaults filled in. */
function steps(parts: readonly unknown[]): readonly unknown[] {
  return parts.filter(isJsonObject).flatMap((part) => {
    switch (part['type']) {
      case 'Sequence':
        return steps((part['pretokenizers'] ?? part['normalizers'] ?? []) as readonly unknown[]);
      case 'ByteLevel':
        return [['ByteLevel', part['add_prefix_space'] !== false, part['use_regex'] !== false]];
      case 'Digits':
        return [['Digits', part['individual_digits'] === true]];
      case 'Split':
        return [['Split', part['pattern'], part['behavior'], part['invert'] === true]];
      case 'Replace':
        return [['Replace', part['pattern'], part['content']]];
      default:
        return [part];
    }
  });
}
