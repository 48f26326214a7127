import { existsSync, readFileSync } from 'node:fs';
import { InvalidArgumentError, MalformedFileError, UnsupportedError } from '@lbs/format';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../config/json-file.js';
import { jsonFixture, referenceModel, smollm2 } from '../fixtures/paths.js';
import { openGguf } from '../gguf/gguf.js';
import { tokenizerFilesOfGguf } from '../gguf/gguf-tokenizer.js';
import { openFileSource } from '../node/file-source.js';
import { createTokenizer, type Tokenizer } from './tokenizer.js';

type Golden = readonly [text: string, ids: number[], decoded: string];

const readJson = (name: string) =>
  JSON.parse(readFileSync(`${referenceModel}/${name}`, 'utf8')) as JsonObject;
const tokenizerJson = readJson('tokenizer.json');
const tokenizerConfig = readJson('tokenizer_config.json');
const reference = createTokenizer(tokenizerJson, tokenizerConfig, 'tokenizer.json');

function expectGolden(tokenizer: Tokenizer, golden: readonly Golden[]): void {
  const encoded = golden.map(([text]) => [text, tokenizer.encode(text)]);
  expect(encoded).toEqual(golden.map(([text, ids]) => [text, ids]));
  const decoded = golden.map(([, ids]) => [ids, tokenizer.decode(ids)]);
  expect(decoded).toEqual(golden.map(([, ids, text]) => [ids, text]));
}

describe('the tokenizer of the reference model', () => {
  const golden = jsonFixture<Golden[]>('reference-tokenizer.json');

  it('gives the ids and texts of the Rust library', () => {
    expect(golden.length).toBeGreaterThanOrEqual(200);
    expectGolden(reference, golden);
  });

  it('knows its special tokens', () => {
    expect(reference.vocabularySize).toBe(4096);
    expect(reference.beginningOfSequence).toBe(0);
    expect(reference.addsBeginningOfSequence).toBe(false);
  });

  it('gives back every text that has no special token in it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(reference.decode(reference.encode(text))).toBe(text);
      }),
    );
  });

  it('gives no text for the padding of an embedding matrix, and refuses what is not an id', () => {
    const ids = reference.encode('the end');
    expect(reference.decode([4096, ...ids, 5000])).toBe('the end');
    expect(reference.decode([4096])).toBe('');
    for (const id of [-1, 1.5, Number.NaN]) {
      expect(() => reference.decode([0, id])).toThrow(InvalidArgumentError);
    }
  });
});

describe('the pre-tokenizers of GGUF files', () => {
  const model = tokenizerJson['model'] as { vocab: Record<string, number>; merges: [string, string][] };
  // Not Object.keys: JavaScript puts keys that look like integers first.
  const tokens = Object.entries(model.vocab).reduce<string[]>((list, [token, id]) => {
    list[id] = token;
    return list;
  }, []);
  const metadataOf = (pre: string, more: readonly (readonly [string, number | boolean | string])[] = []) =>
    new Map<string, number | boolean | string | readonly (string | number)[]>([
      ['tokenizer.ggml.model', 'gpt2'],
      ['tokenizer.ggml.pre', pre],
      ['tokenizer.ggml.tokens', tokens],
      ['tokenizer.ggml.token_type', tokens.map((_, id) => (id === 0 ? 3 : 1))],
      ['tokenizer.ggml.merges', model.merges.map((merge) => merge.join(' '))],
      ...more,
    ]);
  const tokenizerOf = (metadata: ReturnType<typeof metadataOf>) => {
    const files = tokenizerFilesOfGguf({ metadata }, 'model.gguf');
    return createTokenizer(files.tokenizerJson, files.tokenizerConfig, 'model.gguf');
  };
  const texts = jsonFixture<Golden[]>('reference-tokenizer.json');
  const patterned = jsonFixture<[number[], number[]][]>('patterned-tokenizers.json');

  it.each([
    ['gpt-2', texts.map(([, ids]) => ids)],
    ['llama-bpe', patterned.map(([ids]) => ids)],
    ['qwen2', patterned.map(([, ids]) => ids)],
  ])('%s gives the ids of the Rust library', (pre, expected) => {
    const tokenizer = tokenizerOf(metadataOf(pre));
    const encoded = texts.map(([text]) => [text, tokenizer.encode(text)]);
    expect(encoded).toEqual(expected.map((ids, i) => [texts[i]![0], ids]));
  });

  it('say whether a text begins with a special token', () => {
    const bos = ['tokenizer.ggml.bos_token_id', 0] as const;
    expect(tokenizerOf(metadataOf('gpt-2', [bos])).addsBeginningOfSequence).toBe(false);
    expect(tokenizerOf(metadataOf('llama-bpe', [bos])).addsBeginningOfSequence).toBe(true);
    const asked = metadataOf('gpt-2', [bos, ['tokenizer.ggml.add_bos_token', true]]);
    expect(tokenizerOf(asked)).toMatchObject({ addsBeginningOfSequence: true, beginningOfSequence: 0 });
    expect(tokenizerOf(asked).encode('the')).toEqual(reference.encode('the'));
  });

  it.each([
    ['another model', ['tokenizer.ggml.model', 'bert'], UnsupportedError],
    ['another pre-tokenizer', ['tokenizer.ggml.pre', 'constructor'], UnsupportedError],
    ['no tokens', ['tokenizer.ggml.tokens', 'x'], MalformedFileError],
    ['tokens that are not text', ['tokenizer.ggml.tokens', [1]], MalformedFileError],
    ['a token twice', ['tokenizer.ggml.tokens', ['a', 'a']], MalformedFileError],
    ['a merge without a space', ['tokenizer.ggml.merges', ['ab']], MalformedFileError],
  ] as const)('refuse %s', (_, [key, value], error) => {
    const metadata = metadataOf('gpt-2').set(key, value);
    expect(() => tokenizerFilesOfGguf({ metadata }, 'model.gguf')).toThrow(error);
  });
});

describe('createTokenizer', () => {
  it('sees in the post-processor whether a text begins with a special token', () => {
    const post_processor = {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: '<|endoftext|>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
      pair: [],
      special_tokens: { '<|endoftext|>': { id: '<|endoftext|>', ids: [0], tokens: ['<|endoftext|>'] } },
    };
    const tokenizer = createTokenizer(
      { ...tokenizerJson, post_processor },
      tokenizerConfig,
      'tokenizer.json',
    );
    expect(tokenizer.addsBeginningOfSequence).toBe(true);
    expect(tokenizer.encode('a')).toEqual(reference.encode('a'));
    const refusing = { ...tokenizerConfig, add_bos_token: false };
    expect(createTokenizer({ ...tokenizerJson, post_processor }, refusing, 'f').addsBeginningOfSequence).toBe(
      false,
    );
  });

  it('refuses what it would get wrong', () => {
    const pre_tokenizer = { type: 'Sequence', pretokenizers: [{ type: 'UnicodeScripts' }] };
    expect(() => createTokenizer({ ...tokenizerJson, pre_tokenizer }, {}, 'f')).toThrow(UnsupportedError);
    const normalizer = { type: 'Nmt' };
    expect(() => createTokenizer({ ...tokenizerJson, normalizer }, {}, 'f')).toThrow(UnsupportedError);
    expect(() => createTokenizer({ ...tokenizerJson, decoder: { type: 'Future' } }, {}, 'f')).toThrow(
      UnsupportedError,
    );
    expect(() => createTokenizer({}, {}, 'f')).toThrow(MalformedFileError);
  });

  const small = (change: JsonObject, model: JsonObject = {}): JsonObject => ({
    version: '1.0',
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
    ...change,
    model: { type: 'BPE', unk_token: null, vocab: { a: 0, b: 1, ab: 2 }, merges: [['a', 'b']], ...model },
  });

  it.each<[string, JsonObject, string]>([
    [
      'an id that would take a list of 2^31',
      small({}, { vocab: { a: 2 ** 31 } }),
      'the id of "a" is 2147483648',
    ],
    ['an id that is no number', small({}, { vocab: { a: false } }), 'the id of "a" is false'],
    ['a negative id', small({}, { vocab: { a: -1 } }), 'the id of "a" is -1'],
    ['a vocabulary that is missing', small({}, { vocab: undefined }), 'model.vocab is missing'],
    ['a list in the place of ids', small({}, { vocab: [['a', 1]] }), 'model.vocab is a list'],
    ['scores that are none', small({}, { type: 'Unigram', vocab: [['a', 'b']] }), 'model.vocab is a list'],
    ['ids in the place of scores', small({}, { type: 'Unigram' }), 'model.vocab is an object'],
    ['added tokens that are no list', small({ added_tokens: {} }), 'added_tokens is an object'],
    [
      'an added token without a text',
      small({ added_tokens: [{ id: 3 }] }),
      'the content of an added token is missing',
    ],
    [
      'an added token without an id',
      small({ added_tokens: [{ content: 'c' }] }),
      'the added token "c" is missing',
    ],
  ])('refuses %s', (_, json, message) => {
    expect(() => createTokenizer(json, {}, 'f')).toThrow(MalformedFileError);
    expect(() => createTokenizer(json, {}, 'f')).toThrow(message);
  });

  it('drops what has no token where none stands for it', () => {
    const tokenizer = createTokenizer(small({}, { unk_token: 'missing' }), {}, 'f');
    expect(tokenizer.encode('abc')).toEqual([2]);
  });

  const split = (pattern: JsonObject, behavior = 'Isolated') =>
    small({ pre_tokenizer: { type: 'Split', pattern, behavior, invert: false } });
  const normalizing = (normalizer: JsonObject) => small({ normalizer });
  it.each<[string, JsonObject]>([
    [
      'a template of text',
      small({
        post_processor: { type: 'TemplateProcessing', single: ['x'], pair: [], special_tokens: {} },
      }),
    ],
    ['a merge to a token that is missing', small({}, { merges: [['b', 'a']] })],
    ['merges that are no list', small({}, { merges: 'a b' })],
    ['a merge of one token', small({}, { merges: ['a'] })],
    ['a pattern that is none', split({ Regex: '(' })],
    ['a pattern of another kind', split({ Glob: '*' })],
    ['a behavior that is none', split({ String: ' ' }, 'Forgotten')],
    ['parts that are no list', small({ pre_tokenizer: { type: 'Sequence', pretokenizers: {} } })],
    ['an empty replacement', small({ pre_tokenizer: { type: 'Metaspace', replacement: '' } })],
    ['a normalizer without a text', normalizing({ type: 'Prepend' })],
    ['normalizers that are no list', normalizing({ type: 'Sequence', normalizers: 1 })],
    ['a character map that is no base64', normalizing({ type: 'Precompiled', precompiled_charsmap: '%' })],
    [
      'a character map that is too short',
      normalizing({ type: 'Precompiled', precompiled_charsmap: btoa('\x10\0\0\0') }),
    ],
    ['decoders that are no list', small({ decoder: { type: 'Sequence', decoders: {} } })],
    [
      'an unknown token behind the vocabulary',
      small({}, { type: 'Unigram', vocab: [['a', 0]], unk_id: 7, merges: undefined }),
    ],
  ])('refuses %s', (_, json) => {
    expect(() => createTokenizer(json, { bos_token: 'a' }, 'f')).toThrow(MalformedFileError);
  });

  it('refuses other models, and affixes of words', () => {
    expect(() => createTokenizer(small({}, { type: 'WordPiece' }), {}, 'f')).toThrow(UnsupportedError);
    expect(() => createTokenizer(small({}, { end_of_word_suffix: '</w>' }), {}, 'f')).toThrow(
      UnsupportedError,
    );
  });
});

describe.skipIf(!existsSync(smollm2))('the tokenizer of SmolLM2, from its GGUF file', () => {
  it('gives the ids and texts of the Rust library', async () => {
    const source = await openFileSource(smollm2);
    const files = tokenizerFilesOfGguf(await openGguf(source), smollm2);
    await source.close();
    const tokenizer = createTokenizer(files.tokenizerJson, files.tokenizerConfig, smollm2);
    expect(tokenizer).toMatchObject({
      vocabularySize: 49152,
      beginningOfSequence: 1,
      addsBeginningOfSequence: false,
    });
    expectGolden(tokenizer, jsonFixture<Golden[]>('smollm2-tokenizer.json'));
  });
});
