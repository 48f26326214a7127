import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileAccessError } from '@lbs/format';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { verifyModel } from '../model/verify-model.js';
import { openShardedSafetensors, parseShardIndex } from '../safetensors/safetensors-shards.js';
import { fileDirectory } from './open-model.js';
import { writeModelDirectory } from './write-model-directory.js';
import type { ModelToWrite } from './write-model-files.js';

let parent: string;
let path: string;
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'lbs-'));
  path = join(parent, 'model');
});
afterEach(() => rm(parent, { recursive: true }));

const model: ModelToWrite = {
  config: { model_type: 'llama' },
  tensors: [{ name: 'w', dtype: 'U8', shape: [3], bytes: Uint8Array.of(1, 2, 3) }],
  tokenizerFiles: new Map([['tokenizer.json', Uint8Array.of(0x7b, 0x7d)]]),
};

async function putOldModel(): Promise<void> {
  await mkdir(path);
  await writeFile(join(path, 'config.json'), 'old');
}

describe('writeModelDirectory', () => {
  it('writes weights, config and tokenizer, and gives the size of the weights', async () => {
    const bytes = await writeModelDirectory(path, model);
    expect((await readdir(path)).sort()).toEqual(['config.json', 'model.safetensors', 'tokenizer.json']);
    expect(JSON.parse(await readFile(join(path, 'config.json'), 'utf8'))).toEqual(model.config);
    expect((await readFile(join(path, 'model.safetensors'))).length).toBe(bytes);
    expect(await readdir(parent)).toEqual(['model']);
  });

  it('replaces a directory only when it may', async () => {
    await putOldModel();
    await expect(writeModelDirectory(path, model)).rejects.toThrow(
      'Choose another name, or have it replaced.',
    );
    expect(await readdir(path)).toEqual(['config.json']);
    await writeModelDirectory(path, model, { replace: true });
    expect(await readdir(path)).toHaveLength(3);
    expect(await readdir(parent)).toEqual(['model']);
  });

  it('leaves the old directory alone, and nothing else behind, when it fails or is cancelled', async () => {
    await putOldModel();
    const failing = { ...model.tensors[0]!, bytes: () => Promise.reject(new Error('no tensor')) };
    await expect(
      writeModelDirectory(path, { ...model, tensors: [failing] }, { replace: true }),
    ).rejects.toThrow('no tensor');
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(writeModelDirectory(path, model, { replace: true, signal })).rejects.toThrow('enough');
    expect(await readFile(join(path, 'config.json'), 'utf8')).toBe('old');
    expect(await readdir(parent)).toEqual(['model']);
  });

  it('splits large weights into shards with an index, and keeps a quantized matrix together', async () => {
    const tensor = (name: string, size: number, value: number) => ({
      name,
      dtype: 'U8' as const,
      shape: [size],
      bytes: new Uint8Array(size).fill(value),
    });
    const tensors = [
      tensor('embedding.weight', 250, 1),
      tensor('a.weight_packed', 60, 2),
      tensor('norm.weight', 10, 3),
      tensor('a.salient.weight_g_idx', 40, 4),
      tensor('b.weight_packed', 50, 5),
    ];
    const bytes = await writeModelDirectory(path, { ...model, tensors }, { maxShardBytes: 120 });
    const files = (await readdir(path)).filter((name) => name.endsWith('.safetensors')).sort();
    expect(files).toEqual([1, 2, 3].map((i) => `model-0000${i}-of-00003.safetensors`));
    const index = JSON.parse(await readFile(join(path, 'model.safetensors.index.json'), 'utf8'));
    expect(index).toEqual({
      metadata: { total_size: 410 },
      weight_map: {
        'embedding.weight': files[0],
        'a.weight_packed': files[1],
        'a.salient.weight_g_idx': files[1],
        'norm.weight': files[1],
        'b.weight_packed': files[2],
      },
    });
    let size = 0;
    for (const file of files) size += (await readFile(join(path, file))).length;
    expect(size).toBe(bytes);
    const directory = fileDirectory(path);
    const reader = await openShardedSafetensors(
      parseShardIndex(index, 'index'),
      async (name) => (await directory.open(name))!,
      { file: 'index' },
    );
    for (const { name, bytes } of tensors) expect(await reader.readBytes(name)).toEqual(bytes);
    expect(await verifyModel(directory)).toMatchObject({ tensors: 5, bytes: 410, ok: true, failures: [] });
  });

  it('refuses shards without room', async () => {
    await expect(writeModelDirectory(path, model, { maxShardBytes: 0 })).rejects.toThrow('maxShardBytes');
  });

  it('says where it cannot write', async () => {
    await writeFile(path, 'a file');
    await expect(writeModelDirectory(join(path, 'x'), model)).rejects.toThrow(FileAccessError);
  });
});
