import { UnsupportedError } from '@lbs/format';
import { describeValue, isJsonObject, type JsonObject } from '../config/json-file.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { type GgufPreTokenizer, ggufPreTokenizers } from './gguf-pre-tokenizers.js';
import type { TokenizerFiles } from './gguf-tokenizer.js';
import { type GgufTypedValue, typed } from './gguf-typed-value.js';

/** Values of `tokenizer.ggml.token_type`. */
const tokenTypes = { normal: 1, control: 3, userDefined: 4, unused: 5 } as const;

/** Special tokens by their names in tokenizer_config.json and in GGUF. */
const specialTokens = {
  bos_token: 'bos',
  eos_token: 'eos',
  unk_token: 'unknown',
  pad_token: 'padding',
} as const;

/**
 * The metadata that stand for a tokenizer: what `tokenizerFilesOfGguf` reads. `rows` is the size of the embedding, of
 * which each row has a token. Throws UnsupportedError for tokenizers other than byte-level BPE, and for pre-tokenizers that
 * llama.cpp does not have.
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
      { file, mend: 'Known: byte-level BPE. Convert the model with convert_hf_to_gguf.py of llama.cpp.' },
    );
  }
  const pre = preTokenizerOf(tokenizerJson, model, file);
  const { tokens, types } = vocabularyOf(tokenizerJson, model['vocab'], rows);
  const idOf = new Map(tokens.map((token, id) => [token, id]));
  const metadata = new Map<string, GgufTypedValue>([
    ['tokenizer.ggml.model', typed.string('gpt2')],
    ['tokenizer.ggml.pre', typed.string(pre)],
    ['tokenizer.ggml.tokens', typed.strings(tokens)],
    ['tokenizer.ggml.token_type', typed.int32s(types)],
    ['tokenizer.ggml.merges', typed.strings(mergesOf(model, file))],
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
  return metadata;
}

/** Rows of the embedding that no token has get one that no text can have. */
function vocabularyOf(tokenizerJson: JsonObject, vocab: JsonObject, rows: number) {
  const tokens = Array.from({ length: rows }, (_, id) => `[PAD${id}]`);
  const types: number[] = Array(rows).fill(tokenTypes.unused);
  const put = (id: unknown, token: string, type: number) => {
    if (typeof id !== 'number' || id >= rows) return;
    tokens[id] = token;
    types[id] = type;
  };
  for (const [token, id] of Object.entries(vocab)) put(id, token, tokenTypes.normal);
  for (const added of (tokenizerJson['added_tokens'] ?? []) as readonly JsonObject[]) {
    const type = added['special'] === true ? tokenTypes.control : tokenTypes.userDefined;
    put(added['id'], added['content'] as string, type);
  }
  return { tokens, types };
}

/** Merges are pairs, or texts with a space between as in the file. */
function mergesOf(model: JsonObject, file: string): readonly string[] {
  const merges = (model['merges'] ?? []) as readonly (string | readonly [string, string])[];
  return merges.map((merge) => {
    const text = typeof merge === 'string' ? merge : merge.join(' ');
    if (text.split(' ').length === 2) return text;
    throw new UnsupportedError(`the merge ${describeValue(text)} has a token with a space`, {
      file,
      mend: 'Known: byte-level BPE, whose tokens have none. Convert the model with convert_hf_to_gguf.py of llama.cpp.',
    });
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
      default:
        return [part];
    }
  });
}
