import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../config/json-file.js';
import { jsonFixture } from '../fixtures/paths.js';
import type { GgufValue } from '../gguf/gguf-metadata.js';
import { tokenizerFilesOfGguf } from '../gguf/gguf-tokenizer.js';
import { createTokenizer, type Tokenizer } from './tokenizer.js';

/** A family of tokenizers as scripts/make_tokenizers.py writes it, with the answers of the Rust library. */
interface Family {
  readonly name: string;
  readonly vocabulary: 'byte-level' | 'sentencepiece-bpe' | 'unigram';
  /** The value of `tokenizer.ggml.pre`, or `llama` for SentencePiece. */
  readonly gguf: string | null;
  readonly tokenizer: JsonObject & {
    readonly model: JsonObject;
    readonly added_tokens: readonly AddedToken[];
  };
  /** Hashes of the ids of every text, of all that they decode to, and of what ids in no order decode to. */
  readonly ids: readonly string[];
  readonly decoded: string;
  readonly samples: string;
}

interface AddedToken {
  readonly content: string;
  readonly special: boolean;
}

/** Text, score and kind of a piece. */
type Piece = readonly [piece: string, score: number, type: number];

const families = jsonFixture<Family[]>('tokenizers/families.json');
const texts = jsonFixture<string[]>('tokenizers/texts.json');
const byteLevel = jsonFixture<{ tokens: string[]; merges: [string, string][] }>('tokenizers/byte-level.json');
const sentencePiece = jsonFixture<{ pieces: Piece[] }>('tokenizers/sentencepiece-bpe.json').pieces;
const unigram = jsonFixture<{ pieces: Piece[]; charsmap: string }>('tokenizers/unigram.json');

const digest = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 8);

/** The metadata of a GGUF file that holds the tokenizer of a family. */
function ggufMetadata({ gguf, vocabulary, tokenizer, name }: Family): Map<string, GgufValue> {
  const added = tokenizer.added_tokens;
  if (vocabulary === 'byte-level') {
    return new Map<string, GgufValue>([
      ['tokenizer.ggml.model', 'gpt2'],
      ['tokenizer.ggml.pre', gguf!],
      ['tokenizer.ggml.tokens', [...byteLevel.tokens, ...added.map(({ content }) => content)]],
      ['tokenizer.ggml.token_type', [...byteLevel.tokens.map(() => 1), ...added.map(() => 3)]],
      ['tokenizer.ggml.merges', byteLevel.merges.map((merge) => merge.join(' '))],
    ]);
  }
  return new Map<string, GgufValue>([
    ['tokenizer.ggml.model', 'llama'],
    ['tokenizer.ggml.tokens', sentencePiece.map(([piece]) => piece)],
    ['tokenizer.ggml.scores', sentencePiece.map(([, score]) => score)],
    ['tokenizer.ggml.token_type', sentencePiece.map(([, , type]) => type)],
    ['tokenizer.ggml.bos_token_id', 1],
    ...(name === 'gemma' ? [['tokenizer.ggml.add_space_prefix', false] as const] : []),
  ]);
}

function ofGguf(family: Family): Tokenizer {
  const files = tokenizerFilesOfGguf({ metadata: ggufMetadata(family) }, family.name);
  return createTokenizer(files.tokenizerJson, files.tokenizerConfig, family.name);
}

/** The merges of the vocabulary are in no fixture: tokenizerFilesOfGguf derives them as the script does. */
function sentencePieceModel(family: Family): JsonObject {
  const { tokenizerJson } = tokenizerFilesOfGguf(
    { metadata: ggufMetadata({ ...family, vocabulary: 'sentencepiece-bpe' }) },
    family.name,
  );
  const { vocab, merges } = tokenizerJson['model'] as JsonObject;
  return { vocab, merges };
}

function ofJson(family: Family): Tokenizer {
  const { tokenizer, vocabulary } = family;
  const models: Record<Family['vocabulary'], () => JsonObject> = {
    'byte-level': () => ({
      vocab: Object.fromEntries(byteLevel.tokens.map((token, id) => [token, id])),
      merges: byteLevel.merges,
    }),
    'sentencepiece-bpe': () => sentencePieceModel(family),
    unigram: () => ({ vocab: unigram.pieces.map(([piece, score]) => [piece, score]) }),
  };
  const withMap = (json: unknown) =>
    JSON.parse(JSON.stringify(json), (_, value) =>
      value?.type === 'Precompiled' ? { ...value, precompiled_charsmap: unigram.charsmap } : value,
    );
  const json = {
    ...tokenizer,
    normalizer: withMap(tokenizer['normalizer']),
    model: { ...tokenizer.model, ...models[vocabulary]() },
  };
  return createTokenizer(json, {}, family.name);
}

/** Ids in an order that no text has, the same as the script's. */
function samplesOf(size: number): number[][] {
  let state = 3;
  return Array.from({ length: 150 }, (_, i) =>
    Array.from({ length: 12 }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return (state >>> 8) % (i % 2 ? Math.min(size, 600) : size);
    }),
  );
}

function expectFamily(tokenizer: Tokenizer, family: Family): void {
  const ids = texts.map((text) => tokenizer.encode(text));
  const hashes = ids.map((each) => digest(each.join(',')));
  expect(texts.filter((_, i) => hashes[i] !== family.ids[i])).toEqual([]);
  expect(digest(ids.map(tokenizer.decode).join('\0'))).toBe(family.decoded);
  const samples = samplesOf(tokenizer.vocabularySize);
  expect(digest(samples.map(tokenizer.decode).join('\0'))).toBe(family.samples);
}

describe('ids and texts are those of the Rust library', () => {
  it.each(families.map((family) => [family.name, family] as const))('%s', (_, family) => {
    expectFamily(ofJson(family), family);
  });

  it.each(families.filter(({ gguf }) => gguf !== null).map((family) => [family.name, family] as const))(
    '%s from the metadata of a GGUF file',
    (_, family) => expectFamily(ofGguf(family), family),
  );
});

describe('SentencePiece in the metadata of a GGUF file', () => {
  const family = families.find(({ name }) => name === 'llama-2')!;

  it('says that texts begin with a special token, and which tokens are special', () => {
    const tokenizer = ofGguf(family);
    expect(tokenizer).toMatchObject({ addsBeginningOfSequence: true, beginningOfSequence: 1 });
    expect(tokenizer.isSpecial(tokenizer.idOf('<s>')!)).toBe(true);
    expect(tokenizer.isSpecial(tokenizer.idOf('<0x0A>')!)).toBe(false);
    expect(tokenizer.idOf('no such token')).toBeUndefined();
  });

  it.each([
    ['fewer scores than tokens', 'tokenizer.ggml.scores', [0]],
    ['no types', 'tokenizer.ggml.token_type', []],
  ])('is refused with %s', (_, key, value) => {
    const metadata = ggufMetadata(family).set(key, value);
    expect(() => tokenizerFilesOfGguf({ metadata }, 'f.gguf')).toThrow(/scores and/);
  });
});

describe('a stream of ids', () => {
  it.each(families.map((family) => [family.name, family] as const))('%s', (_, family) => {
    const tokenizer = ofJson(family);
    for (const text of texts) {
      const ids = tokenizer.encode(text);
      const stream = tokenizer.stream();
      const pieces = ids.map((id) => stream.push(id));
      // A text may itself hold replacement characters, at its end too.
      expect(pieces.slice(0, -1).some((piece) => piece.endsWith('\ufffd'))).toBe(false);
      expect(pieces.join('') + stream.end()).toBe(tokenizer.decode(ids));
    }
  });
});
