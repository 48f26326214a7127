import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  calibrationText,
  continuationTask,
  continuationTaskItems,
  heldOutText,
  referenceModel,
  tinyModel,
} from './index.js';

interface Item {
  readonly context: string;
  readonly choices: readonly string[];
  readonly gold: number;
}

const root = new URL('../', import.meta.url);
const read = (file: URL): string => readFileSync(file, 'utf8');
const sha256 = (file: URL): string => createHash('sha256').update(readFileSync(file)).digest('hex');
const manifest = read(new URL('SHA256SUMS', root))
  .trimEnd()
  .split('\n')
  .map((line) => line.split('  ') as [string, string]);

describe('models', () => {
  it.each([
    ['reference-lm', referenceModel, 16 * 2 ** 20],
    ['tiny-lm', tinyModel, 2 ** 20],
  ])('%s is complete and small', (_, directory, limit) => {
    for (const name of ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'])
      expect(statSync(new URL(name, directory)).size, name).toBeGreaterThan(0);
    const sizes = readdirSync(directory).map((name) => statSync(new URL(name, directory)).size);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(limit);
  });

  it.each([
    'packages/runtime/src/fixtures/reference-lm-logits.json',
    'packages/runtime/src/fixtures/tiny-lm-logits.json',
    'packages/runtime/src/fixtures/tiny-lm-gradients.json',
    'benchmarks/src/fixtures/reference-lm-perplexity.json',
  ])('the golden vector %s was made with the present weights', (file) => {
    const vector = JSON.parse(read(new URL(`../${file}`, root)));
    expect(vector.modelSha256).toBe(sha256(new URL(`${vector.model}/model.safetensors`, root)));
  });
});

describe('manifest', () => {
  it.each(manifest)('%s is the hash of %s', (hash, file) => {
    expect(sha256(new URL(file, root))).toBe(hash);
  });

  it('lists every data file', () => {
    const listed = manifest.map(([, file]) => file);
    const present = ['reference-lm', 'tasks', 'texts', 'tiny-lm'].flatMap((folder) =>
      readdirSync(new URL(`${folder}/`, root))
        .filter((name) => !name.endsWith('.md'))
        .map((name) => `${folder}/${name}`),
    );
    expect(listed.toSorted()).toEqual(present.toSorted());
  });
});

/** What texts/sources.json says of one passage; of a novel's also the book. */
interface Source {
  readonly genre?: string;
  readonly book?: string;
  readonly source?: string;
  readonly licence?: string;
  readonly characters?: number;
}

const sources = JSON.parse(read(new URL('texts/sources.json', root))) as Record<string, Source[]>;

describe('texts', () => {
  it('come from books of their own part', () => {
    const parts = new Map(
      read(new URL('texts/novels.tsv', root))
        .trimEnd()
        .split('\n')
        .map((line) => [line.split('\t')[0]!, line.split('\t')[2]!]),
    );
    const partsOf = (text: string): Set<string | undefined> =>
      new Set(sources[text]!.flatMap(({ book }) => (book === undefined ? [] : [parts.get(book)])));
    expect(partsOf('held-out.txt')).toEqual(new Set(['test']));
    expect(partsOf('calibration.txt')).toEqual(new Set(['train']));
  });
});

describe('calibration text', () => {
  const text = read(calibrationText);
  const passages = text.slice(0, -1).split('\n\n\n');
  const described = sources['calibration.txt']!;
  const lengthOf = (passage: string): number => [...passage].length;

  it('is of passages that sources.json describes, with a free licence', () => {
    expect(described.map(({ characters }) => characters)).toEqual(passages.map(lengthOf));
    for (const source of described) {
      expect(source.genre).toMatch(/./);
      expect(source.source ?? source.book).toMatch(/./);
      expect(source.licence).toMatch(/^(public domain|CC0-1\.0|Unlicense)$/);
    }
  });

  it('is plain UTF-8 of moderate size, without empty lines of another meaning', () => {
    expect(statSync(calibrationText).size).toBeLessThan(2 ** 19);
    expect(text).toMatch(/[^\n]\n$/);
    expect(text).not.toMatch(/\n{4}|[ \t]\n|[\ufffd\ufeff]|[^\P{Cc}\n\t]/u);
    expect(new Set(passages).size).toBe(passages.length);
    for (const passage of passages) expect(lengthOf(passage)).toBeLessThan(3500);
  });

  it('has each genre in about the same proportion in every prefix', () => {
    const total = new Map<string, number>();
    for (const { genre, characters } of described) total.set(genre!, (total.get(genre!) ?? 0) + characters!);
    const whole = [...total.values()].reduce((sum, length) => sum + length, 0);
    expect(total.size).toBeGreaterThan(8);
    const seen = new Map<string, number>();
    let prefix = 0;
    for (const { genre, characters } of described) {
      seen.set(genre!, (seen.get(genre!) ?? 0) + characters!);
      prefix += characters!;
      if (prefix < 32_000) continue;
      for (const [name, length] of total)
        expect(
          Math.abs((seen.get(name) ?? 0) / prefix - length / whole),
          `${name} at ${prefix}`,
        ).toBeLessThan(0.05);
    }
  });
});

describe('calibration and evaluation', () => {
  const runLength = 13;
  /** All runs of 13 words, in lower case, without punctuation. */
  const runsOf = (text: string): string[] => {
    const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
    return words.slice(runLength - 1).map((_, i) => words.slice(i, i + runLength).join(' '));
  };
  const paragraphsOf = (text: string): string[] =>
    text.split('\n').filter((paragraph) => paragraph.length > 80);
  /** The texts of a file of one JSON object a line. */
  const textsOfLines = (lines: string): string =>
    lines
      .trimEnd()
      .split('\n')
      .flatMap((line) => Object.values(JSON.parse(line)).flat())
      .filter((value) => typeof value === 'string')
      .join('\n');

  const calibrationRuns = new Set(runsOf(read(calibrationText)));
  const calibrationParagraphs = new Set(paragraphsOf(read(calibrationText)));
  const shared = (text: string): string[] => [
    ...runsOf(text).filter((run) => calibrationRuns.has(run)),
    ...paragraphsOf(text).filter((paragraph) => calibrationParagraphs.has(paragraph)),
  ];

  it('notice what they share', () => {
    const run = runsOf(read(calibrationText))[1000]!;
    expect(run.split(' ')).toHaveLength(runLength);
    expect(shared(`Zyx "${run.toUpperCase()}", zyx.`)).toEqual([run]);
    expect(shared(run.slice(run.indexOf(' ')))).toEqual([]);
  });

  // The last two are no part of the repository. Where they lie beside it, they are compared.
  for (const [name, file, textOf] of [
    ['held-out.txt', heldOutText, String],
    ['continuation.jsonl', continuationTaskItems, textsOfLines],
    ['wiki.test.raw', new URL('../../shared/data/wiki.test.raw', root), String],
    ['piqa-valid.jsonl', new URL('../../shared/data/piqa-valid.jsonl', root), textsOfLines],
  ] as const)
    it.skipIf(!existsSync(file))(`share no paragraph and no run of 13 words: ${name}`, () => {
      expect(shared(textOf(read(file)))).toEqual([]);
    });
});

describe('continuation task', () => {
  const items = read(continuationTaskItems)
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Item);

  it('declares its items', () => {
    const declaration = JSON.parse(read(continuationTask));
    expect(declaration).toMatchObject({ task: 'continuation', version: 1, targetDelimiter: ' ' });
    expect(new URL(declaration.items, continuationTask).href).toBe(continuationTaskItems.href);
  });

  it('has 1,000 items with four different choices', () => {
    expect(items).toHaveLength(1000);
    for (const { context, choices } of items) {
      expect(context.trim()).toBe(context);
      expect(new Set(choices).size).toBe(4);
      expect(choices.every((choice) => choice !== '' && choice.trim() === choice)).toBe(true);
    }
    expect(new Set(items.map((item) => item.context)).size).toBe(1000);
  });

  it('puts the true continuation equally often in every place', () => {
    const counts = [0, 1, 2, 3].map((place) => items.filter((item) => item.gold === place).length);
    expect(counts).toEqual([250, 250, 250, 250]);
  });

  it('is not from the text that perplexity is measured on', () => {
    const heldOut = read(heldOutText);
    expect(items.filter((item) => heldOut.includes(item.context))).toEqual([]);
  });
});
