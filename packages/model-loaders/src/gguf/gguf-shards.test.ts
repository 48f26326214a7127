import { readFileSync } from 'node:fs';
import { FileAccessError, InvalidArgumentError, MalformedFileError, UnsupportedError } from '@lbs/format';
import { describe, expect, it } from 'vitest';
import { type CraftedGguf, type CraftedValue, craftGguf, value } from '../fixtures/craft-gguf.js';
import { memorySource } from '../fixtures/memory-source.js';
import { fixture } from '../fixtures/paths.js';
import type { ModelDirectory } from '../sources/model-directory.js';
import { ggufShardNames } from './gguf-shard-names.js';
import { openGgufShards } from './gguf-shards.js';
import { openGgufModel } from './open-gguf-model.js';

describe('a model that gguf-py split', () => {
  const open = async (name: string) =>
    memorySource(Uint8Array.from(readFileSync(fixture(name))), `dir/${name}`);

  it('opens from its first file', async () => {
    const asked: string[] = [];
    const gguf = await openGgufShards(await open('split-00001-of-00003.gguf'), (name) => {
      asked.push(name);
      return open(name);
    });
    expect(asked).toEqual(['split-00002-of-00003.gguf', 'split-00003-of-00003.gguf']);
    expect(gguf.metadata.get('general.name')).toBe('split');
    expect([...gguf.tensors.keys()]).toEqual(['t0', 't1', 't2', 't3', 't4']);
    for (let i = 0; i < 5; i++) {
      const expected = Float32Array.from({ length: i + 1 }, (_, j) => 10 * i + j);
      expect(await gguf.readFloat32(`t${i}`)).toEqual(expected);
      expect(new Float32Array((await gguf.readBytes(`t${i}`)).buffer)).toEqual(expected);
      for await (const piece of gguf.readPieces(`t${i}`)) expect(piece).toHaveLength(4 * (i + 1));
    }
    await expect(gguf.readBytes('t5')).rejects.toThrow(InvalidArgumentError);
  });

  it('does not open from another file, and says from which', async () => {
    const opening = openGgufShards(await open('split-00002-of-00003.gguf'), open);
    await expect(opening).rejects.toThrow(InvalidArgumentError);
    await expect(opening).rejects.toThrow('split.no is 1. Open split-00001-of-00003.gguf.');
  });
});

describe('crafted shards', () => {
  const u16 = (number: number): CraftedValue => [2, [number & 255, number >> 8]];
  const i32 = (number: number): CraftedValue => [5, [...new Uint8Array(Int32Array.of(number).buffer)]];
  const shard = (change: Record<string, CraftedValue | undefined>, ...names: string[]): CraftedGguf => ({
    metadata: Object.entries(change).filter(
      (entry): entry is [string, CraftedValue] => entry[1] !== undefined,
    ),
    tensors: names.map((name, i) => ({ name, dimensions: [2], type: 0, offset: 32 * i })),
    dataBytes: 32 * names.length,
  });
  const split = (no: number, change: Record<string, CraftedValue | undefined> = {}) => ({
    'split.no': u16(no),
    'split.count': u16(2),
    'split.tensors.count': i32(3),
    ...change,
  });
  const source = (crafted: CraftedGguf, name: string) => memorySource(craftGguf(crafted), `dir/${name}`);
  const first = (change = {}, name = 'm-00001-of-00002.gguf') =>
    source(shard(split(0, change), 'a', 'b'), name);
  const second = (change = {}, tensor = 'c') =>
    source(shard(split(1, change), tensor), 'm-00002-of-00002.gguf');

  it('open, in files that repeat the architecture or not', async () => {
    const architecture = { 'general.architecture': value.string('llama') };
    for (const repeated of [architecture, {}]) {
      const gguf = await openGgufShards(first(architecture), async () => second(repeated));
      expect([...gguf.tensors.keys()]).toEqual(['a', 'b', 'c']);
    }
  });

  it.each<[string, object, object | undefined, string | undefined, string]>([
    [
      'another number in the name',
      {},
      undefined,
      'm-00001-of-00003.gguf',
      'the name says 3 files, split.count 2',
    ],
    [
      'a count that is text',
      { 'split.count': value.string('2') },
      undefined,
      undefined,
      'split.count is "2"',
    ],
    ['a giant count', { 'split.count': value.u32(2 ** 31) }, undefined, undefined, 'up to 10000'],
    [
      'another count in the second',
      {},
      { 'split.count': u16(3) },
      undefined,
      'dir/m-00002-of-00002.gguf: split.count is 3',
    ],
    ['no count in the second', {}, { 'split.count': undefined }, undefined, 'split.count is missing'],
    [
      'the first file twice',
      {},
      { 'split.no': u16(0) },
      undefined,
      'split.no is 0, but shard 2 of this model has 1',
    ],
    ['another total', {}, { 'split.tensors.count': i32(4) }, undefined, 'split.tensors.count is 4'],
    [
      'a total that is wrong',
      { 'split.tensors.count': i32(9) },
      { 'split.tensors.count': i32(9) },
      undefined,
      'hold 3 tensors',
    ],
    [
      'another architecture',
      { 'general.architecture': value.string('llama') },
      { 'general.architecture': value.string('gemma') },
      undefined,
      'general.architecture is "gemma"',
    ],
  ])('are refused with %s', async (_, firstChange, secondChange, name, message) => {
    const opening = openGgufShards(first(firstChange, name), async () => second(secondChange));
    await expect(opening).rejects.toThrow(MalformedFileError);
    await expect(opening).rejects.toThrow(message);
  });

  it('are refused when two have the same tensor', async () => {
    const opening = openGgufShards(first(), async () => second({}, 'b'));
    await expect(opening).rejects.toThrow(MalformedFileError);
    await expect(opening).rejects.toThrow(
      'm-00001-of-00002.gguf and m-00002-of-00002.gguf both have this tensor',
    );
  });

  it('are refused under other names', async () => {
    const opening = openGgufShards(first({}, 'renamed.gguf'), async () => second());
    await expect(opening).rejects.toThrow(UnsupportedError);
    await expect(opening).rejects.toThrow('NAME-00001-of-00002.gguf');
  });

  it('need the directory that holds them all, and leave no file open', async () => {
    let open = 0;
    const counted = (file: ReturnType<typeof first>) => {
      open++;
      return { ...file, close: async () => void open-- };
    };
    await expect(openGgufModel(counted(first()))).rejects.toThrow(UnsupportedError);
    const directory: ModelDirectory = { name: 'dir', open: async () => undefined };
    const opening = openGgufModel(counted(first()), { directory });
    await expect(opening).rejects.toThrow(FileAccessError);
    await expect(opening).rejects.toThrow('dir/m-00002-of-00002.gguf: the file is missing');
    const broken: ModelDirectory = { name: 'dir', open: async () => counted(second({ 'split.no': u16(0) })) };
    await expect(openGgufModel(counted(first()), { directory: broken })).rejects.toThrow(MalformedFileError);
    expect(open).toBe(0);
  });

  it('have names with five digits', () => {
    expect(ggufShardNames('a-00001-of-00002.gguf')).toEqual([
      'a-00001-of-00002.gguf',
      'a-00002-of-00002.gguf',
    ]);
    expect(ggufShardNames('Q4-00002-OF-00002.GGUF')?.[0]).toBe('Q4-00001-of-00002.GGUF');
    for (const name of ['a.gguf', 'a-1-of-2.gguf', 'a-00001-of-00002.gguf.part']) {
      expect(ggufShardNames(name)).toBeUndefined();
    }
  });
});
