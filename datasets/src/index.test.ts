import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
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

describe('texts', () => {
  const longParagraphs = (file: URL): string[] =>
    read(file)
      .split('\n')
      .filter((paragraph) => paragraph.length > 80);

  it('keep calibration and test apart', () => {
    const heldOut = new Set(longParagraphs(heldOutText));
    expect(heldOut.size).toBeGreaterThan(500);
    expect(longParagraphs(calibrationText).filter((paragraph) => heldOut.has(paragraph))).toEqual([]);
  });

  it('come from books of their own part', () => {
    const parts = new Map(
      read(new URL('texts/novels.tsv', root))
        .trimEnd()
        .split('\n')
        .map((line) => [line.split('\t')[0]!, line.split('\t')[2]!]),
    );
    const sources = JSON.parse(read(new URL('texts/sources.json', root))) as Record<
      string,
      { book: string }[]
    >;
    const partsOf = (text: string): Set<string | undefined> =>
      new Set(sources[text]!.map(({ book }) => parts.get(book)));
    expect(partsOf('held-out.txt')).toEqual(new Set(['test']));
    expect(partsOf('calibration.txt')).toEqual(new Set(['train']));
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
