import { UnsupportedError } from '@lbs/format';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../config/json-file.js';
import { jsonFixture } from '../fixtures/paths.js';
import { createTokenizer } from '../tokenizer/tokenizer.js';
import type { GgufValue } from './gguf-metadata.js';
import { tokenizerFilesOfGguf } from './gguf-tokenizer.js';
import { ggufTokenizerMetadata, lostTokenFlags } from './gguf-tokenizer-metadata.js';
import { plainMetadata } from './gguf-typed-value.js';

/** A family of tokenizers, made by scripts/make_tokenizers.py. */
interface Family {
  readonly name: string;
  readonly vocabulary: 'byte-level' | 'sentencepiece-bpe' | 'unigram';
  readonly gguf: string | null;
  readonly tokenizer: JsonObject & { readonly model: JsonObject };
}

const families = jsonFixture<Family[]>('tokenizers/families.json');
const texts = jsonFixture<string[]>('tokenizers/texts.json');
const byteLevel = jsonFixture<{ tokens: string[]; merges: [string, string][] }>('tokenizers/byte-level.json');
const { pieces } = jsonFixture<{ pieces: [piece: string, score: number, type: number][] }>(
  'tokenizers/sentencepiece-bpe.json',
);

function modelOf(family: Family): JsonObject {
  if (family.vocabulary === 'byte-level') {
    return {
      vocab: Object.fromEntries(byteLevel.tokens.map((token, id) => [token, id])),
      merges: byteLevel.merges,
    };
  }
  const metadata = new Map<string, GgufValue>([
    ['tokenizer.ggml.model', 'llama'],
    ['tokenizer.ggml.tokens', pieces.map(([piece]) => piece)],
    ['tokenizer.ggml.scores', pieces.map(([, score]) => score)],
    ['tokenizer.ggml.token_type', pieces.map(([, , type]) => type)],
  ]);
  const { vocab, merges } = tokenizerFilesOfGguf({ metadata }, family.name).tokenizerJson[
    'model'
  ] as JsonObject;
  return { vocab, merges };
}

const filesOf = (family: Family, change: JsonObject = {}) => ({
  tokenizerJson: { ...family.tokenizer, model: { ...family.tokenizer.model, ...modelOf(family), ...change } },
  tokenizerConfig: {},
});

function written(family: Family, change?: JsonObject) {
  const files = filesOf(family, change);
  const tokenizer = createTokenizer(files.tokenizerJson, files.tokenizerConfig, family.name);
  const rows = tokenizer.vocabularySize + 3;
  return { tokenizer, metadata: ggufTokenizerMetadata(files, tokenizer, rows, family.name) };
}

describe('tokenizers that GGUF has', () => {
  /** Those without a name of their own have the pipeline of another one. */
  const known = families.filter(({ gguf, name }) => gguf !== null || ['gpt-neox', 'falcon'].includes(name));
  it.each(known)('$name gives the same ids again', (family) => {
    const { tokenizer, metadata } = written(family);
    const files = tokenizerFilesOfGguf({ metadata: plainMetadata(metadata) }, family.name);
    const copy = createTokenizer(files.tokenizerJson, files.tokenizerConfig, family.name);
    expect(texts.filter((text) => `${copy.encode(text)}` !== `${tokenizer.encode(text)}`)).toEqual([]);
    expect(
      texts.filter(
        (text) => copy.decode(tokenizer.encode(text)) !== tokenizer.decode(tokenizer.encode(text)),
      ),
    ).toEqual([]);
  });

  it('have the types and scores of SentencePiece', () => {
    const { metadata } = written(families.find(({ name }) => name === 'llama-2')!);
    const plain = plainMetadata(metadata);
    const types = plain.get('tokenizer.ggml.token_type') as number[];
    const scores = plain.get('tokenizer.ggml.scores') as number[];
    expect(types.slice(0, pieces.length)).toEqual(pieces.map(([, , type]) => type));
    expect(types.slice(pieces.length)).toEqual([5, 5, 5]);
    // Of pieces that are put together, the order is that of their own scores.
    const merged = pieces.flatMap(([piece, score, type], id) =>
      type === 1 && [...piece].length > 1 ? [{ score, id }] : [],
    );
    merged.sort((a, b) => b.score - a.score);
    const order = merged.map(({ id }) => scores[id]!);
    expect(order).toEqual([...order].sort((a, b) => b - a));
    expect(plain.get('tokenizer.ggml.add_space_prefix')).toBe(true);
  });
});

describe('tokenizers that GGUF has not', () => {
  const refused = ['roberta', 'split-behaviors', 'llama-2-metaspace'];
  it.each(families.filter(({ name }) => refused.includes(name)))('$name is refused', (family) => {
    expect(() => written(family)).toThrow(UnsupportedError);
  });

  it('are those whose merges have no scores', () => {
    const family = families.find(({ name }) => name === 'gemma')!;
    const merges = (modelOf(family)['merges'] as [string, string][]).toReversed();
    expect(() => written(family, { merges })).toThrow(
      /merge 0 of the tokenizer is .* of its scores it would be/,
    );
    expect(() => written(family, { merges: merges.slice(1).toReversed() })).toThrow(UnsupportedError);
  });

  it('have special tokens that take spaces, which is said', () => {
    const phi = families.find(({ name }) => name === 'phi-3')!;
    expect(lostTokenFlags(filesOf(phi))).toMatch(/^\d+ special tokens such as "<\|user\|>" take the spaces/);
    expect(lostTokenFlags(filesOf(families[0]!))).toBeUndefined();
  });
});
