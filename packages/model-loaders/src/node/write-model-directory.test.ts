import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileAccessError } from '@lbs/format';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ModelToWrite, writeModelDirectory } from './write-model-directory.js';

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

  it('says where it cannot write', async () => {
    await writeFile(path, 'a file');
    await expect(writeModelDirectory(join(path, 'x'), model)).rejects.toThrow(FileAccessError);
  });
});
