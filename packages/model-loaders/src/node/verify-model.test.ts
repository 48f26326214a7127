import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { MalformedFileError, UnsupportedError } from '@lbs/format';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { memorySource } from '../fixtures/memory-source.js';
import { verifyModel, verifySafetensors } from '../model/verify-model.js';
import { openSafetensors } from '../safetensors/safetensors.js';
import { hashSource } from './hash-source.js';
import { fileDirectory } from './open-model.js';
import { writeModelDirectory } from './write-model-directory.js';

let parent: string;
let path: string;
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'lbs-'));
  path = join(parent, 'model');
});
afterEach(() => rm(parent, { recursive: true }));

const bytesOf = (length: number) => Uint8Array.from({ length }, (_, i) => (i * i) >>> 3);
const tensors = [
  { name: 'large', dtype: 'U8' as const, shape: [2 ** 23 + 5], bytes: bytesOf(2 ** 23 + 5) },
  { name: 'b', dtype: 'F16' as const, shape: [3, 3], bytes: async () => bytesOf(18) },
  { name: 'empty', dtype: 'F32' as const, shape: [0], bytes: new Uint8Array(0) },
  { name: 'c', dtype: 'I32' as const, shape: [2], bytes: bytesOf(8) },
];
const write = (maxShardBytes?: number) =>
  writeModelDirectory(
    path,
    { config: {}, tensors, tokenizerFiles: new Map() },
    maxShardBytes === undefined ? {} : { maxShardBytes },
  );

describe('verifyModel', () => {
  it('finds every tensor as it was written, and tells how far it is', async () => {
    await write();
    const seen: string[] = [];
    const result = await verifyModel(fileDirectory(path), { onProgress: ({ tensor }) => seen.push(tensor) });
    expect(result).toEqual({
      files: [join(path, 'model.safetensors')],
      tensors: 4,
      bytes: 2 ** 23 + 31,
      ok: true,
      failures: [],
    });
    expect(seen.sort()).toEqual(['b', 'c', 'empty', 'large']);
  });

  it('finds a damaged byte wherever it is, and names its tensor', async () => {
    await write();
    const file = await readFile(join(path, 'model.safetensors'));
    const reader = await openSafetensors(memorySource(file));
    const names = [...reader.tensors.keys()];
    const sizes = names.map((name) => reader.tensors.get(name)!.byteLength);
    const dataStart = file.length - sizes.reduce((a, b) => a + b, 0);
    const ends = sizes.map((_, i) => dataStart + sizes.slice(0, i + 1).reduce((a, b) => a + b, 0));
    // Otherwise the small tensors would never be hit.
    const place = fc.oneof(
      fc.integer({ min: dataStart, max: file.length - 1 }),
      fc.integer({ min: file.length - 100, max: file.length - 1 }),
    );
    await fc.assert(
      fc.asyncProperty(place, fc.integer({ min: 1, max: 255 }), async (at, mask) => {
        const damaged = new Uint8Array(file);
        damaged[at]! ^= mask;
        const tensor = names[ends.findIndex((end) => at < end)];
        const result = await verifySafetensors(memorySource(damaged));
        expect(result).toMatchObject({ ok: false, failures: [{ tensor }] });
        const [failure] = result.failures;
        expect(failure!.found).not.toBe(failure!.expected);
      }),
      { numRuns: 25 },
    );
  });

  it('gives the checksums that zlib gives', async () => {
    await write();
    const { metadata } = await openSafetensors(memorySource(await readFile(join(path, 'model.safetensors'))));
    expect(metadata.get('crc32.b')).toBe(crc32(bytesOf(18)).toString(16).padStart(8, '0'));
    expect(metadata.get('crc32.empty')).toBe('00000000');
  });

  it('goes through all shards, and compares them with the index', async () => {
    await write(20);
    const shards = ['00001', '00002', '00003'].map((i) => join(path, `model-${i}-of-00003.safetensors`));
    expect(await verifyModel(fileDirectory(path))).toMatchObject({ files: shards, tensors: 4, ok: true });
    const damaged = await readFile(shards[0]!);
    damaged[damaged.length - 1]! ^= 1;
    await writeFile(shards[0]!, damaged);
    const indexFile = join(path, 'model.safetensors.index.json');
    const index = JSON.parse(await readFile(indexFile, 'utf8'));
    index.weight_map.lost = 'model-00002-of-00003.safetensors';
    await writeFile(indexFile, JSON.stringify(index));
    expect((await verifyModel(fileDirectory(path))).failures).toMatchObject([
      { file: shards[0], tensor: 'large' },
      { file: shards[1], tensor: 'lost', expected: null, found: null },
    ]);
  });

  it('names tensors without a checksum, and checksums without a tensor', async () => {
    await write();
    const file = await readFile(join(path, 'model.safetensors'));
    const renamed = Buffer.from(file.toString('latin1').replace('crc32.b', 'crc32.x'), 'latin1');
    expect((await verifySafetensors(memorySource(renamed))).failures).toMatchObject([
      { tensor: 'b', expected: null, found: expect.stringMatching(/^[0-9a-f]{8}$/) },
      { tensor: 'x', expected: expect.stringMatching(/^[0-9a-f]{8}$/), found: null },
    ]);
  });

  it('tells a file without checksums and a truncated file from a damaged one', async () => {
    const plain = Buffer.from('\x02\0\0\0\0\0\0\0{}', 'latin1');
    await expect(verifySafetensors(memorySource(plain))).rejects.toThrow(UnsupportedError);
    await write();
    const file = await readFile(join(path, 'model.safetensors'));
    await expect(verifySafetensors(memorySource(file.subarray(0, -1)))).rejects.toThrow(MalformedFileError);
  });

  it('stops when it is cancelled', async () => {
    await write();
    const controller = new AbortController();
    const job = verifyModel(fileDirectory(path), {
      signal: controller.signal,
      onProgress: () => controller.abort(new Error('enough')),
    });
    await expect(job).rejects.toThrow('enough');
  });
});

describe('hashSource', () => {
  it('gives the SHA-256 of the standard', async () => {
    expect(await hashSource(memorySource(Buffer.from('abc')))).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
    expect(await hashSource(memorySource(new Uint8Array(0)))).toMatch(/^e3b0c44298fc1c14/);
    await expect(
      hashSource(memorySource(new Uint8Array(1)), { signal: AbortSignal.abort(new Error('enough')) }),
    ).rejects.toThrow('enough');
  });
});
