import { cpSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileAccessError } from '@lbs/format';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FakeHub, startFakeHub } from '../fixtures/fake-hub.mjs';
import { tinyModel } from '../fixtures/paths.js';
import { openModel as openModelInPage } from '../model/open-model.js';
import { openFileSource } from './file-source.js';
import { fileDirectory, isHubModel, openModel } from './open-model.js';
import { writeGguf } from './write-gguf.js';

const folder = mkdtempSync(join(tmpdir(), 'lbs-open-'));
const files = Object.fromEntries(
  readdirSync(tinyModel).map((name) => [
    name,
    { bytes: Uint8Array.from(readFileSync(join(tinyModel, name))), large: /safetensors$/.test(name) },
  ]),
);
const fileOf = (name: string, path?: string) => {
  const file = new File([files[name]!.bytes], name);
  return path ? Object.defineProperty(file, 'webkitRelativePath', { value: path }) : file;
};
let hub: FakeHub;
let options: { endpoint: string; cache: string; token: string };

/** Serves the folder of models by ranges. */
const server = createServer((request, response) => {
  const found = files[request.url!.replace('/models/tiny/', '')]?.bytes;
  if (!found) return response.writeHead(404).end();
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
  if (first === undefined) return response.end(found);
  const [begin, end] = [Number(first), Math.min(Number(last) + 1, found.length)];
  response.writeHead(206, { 'content-range': `bytes ${begin}-${end - 1}/${found.length}` });
  return response.end(found.subarray(begin, end));
});
let base: string;

beforeAll(async () => {
  const tiny = await openModel(tinyModel);
  await writeGguf(join(folder, 'tiny.gguf'), tiny, { type: 'BF16' });
  await tiny.close();
  const gguf = { bytes: Uint8Array.from(readFileSync(join(folder, 'tiny.gguf'))), large: true };
  hub = await startFakeHub([
    { repo: 'someone/tiny-lm', commit: 'c'.repeat(40), files: { ...files } },
    { repo: 'someone/tiny-gguf', commit: 'd'.repeat(40), files: { 'q/tiny.gguf': gguf } },
  ]);
  files['tiny.gguf'] = gguf;
  options = { endpoint: hub.endpoint, cache: join(folder, 'cache'), token: '' };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/models/tiny`;
});
afterAll(async () => {
  await hub.close();
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true });
});

async function expectTiny(opening: Promise<Awaited<ReturnType<typeof openModel>>>, name = 'tiny-lm') {
  const model = await opening;
  const whole = await openModel(tinyModel);
  try {
    expect(model.name).toBe(name);
    expect(model.tensorNames).toEqual(whole.tensorNames);
    const tensor = 'model.layers.1.mlp.down_proj.weight';
    expect(await model.readFloat32(tensor)).toEqual(await whole.readFloat32(tensor));
    expect(model.tokenizer.encode('the old man')).toEqual(whole.tokenizer.encode('the old man'));
  } finally {
    await model.close();
    await whole.close();
  }
}

describe('openModel', () => {
  it('opens a model of the hub, and has it afterwards', async () => {
    const progress: number[] = [];
    const onProgress = ({ bytesDone }: { bytesDone: number }) => progress.push(bytesDone);
    for (const reference of [
      'someone/tiny-lm',
      'hf:someone/tiny-lm@main',
      `${hub.endpoint}/someone/tiny-lm`,
    ]) {
      await expectTiny(openModel(reference, { ...options, onProgress }));
    }
    expect(progress.length).toBeGreaterThan(0);
    expect(hub.requests.filter(({ server: where }) => where === 'cdn')).toHaveLength(1);
    await expectTiny(
      openModel('someone/tiny-lm', { ...options, endpoint: 'http://127.0.0.1:9', offline: true }),
    );
  });

  it('opens a model of the hub without downloading it, as a page does', async () => {
    await expectTiny(openModelInPage('hf:someone/tiny-lm', options));
    const ranges = hub.requests.filter(({ headers }) => headers.range);
    expect(ranges.length).toBeGreaterThan(4);
  });

  it('opens a directory on a server', async () => {
    await expectTiny(openModel(base), 'tiny');
    await expectTiny(openModelInPage(new URL(`${base}/`)), 'tiny');
  });

  it('opens a GGUF file of the hub, of a server, of a user', async () => {
    const chosen = () => new File([files['tiny.gguf']!.bytes], 'tiny.gguf');
    const openings = [
      () => openModel('hf:someone/tiny-gguf/q/tiny.gguf', options),
      () => openModel(`${hub.endpoint}/someone/tiny-gguf/blob/main/q/tiny.gguf`, options),
      () => openModelInPage('hf:someone/tiny-gguf/q/tiny.gguf', options),
      () => openModel(`${base}/tiny.gguf`),
      () => openModelInPage(new URL(`${base}/tiny.gguf`)),
      () => openModelInPage(chosen()),
      () => openModelInPage([chosen()]),
      () => openModelInPage([new File(['# notes'], 'README.md'), chosen()]),
    ];
    const whole = await openModel(tinyModel);
    const tensor = 'model.layers.1.mlp.down_proj.weight';
    const expected = await whole.readFloat32(tensor);
    await whole.close();
    for (const opening of openings) {
      const model = await opening();
      expect(model.name).toBe('tiny');
      expect(await model.readFloat32(tensor)).toEqual(expected);
      await model.close();
    }
    await expect(openModel('someone/tiny-gguf', options)).rejects.toThrow('hf:someone/tiny-gguf/q/tiny.gguf');
  });

  it('opens the files that a user chose', async () => {
    await expectTiny(openModelInPage(Object.keys(files).map((name) => fileOf(name))), 'chosen files');
    const inFolder = Object.keys(files).map((name) => fileOf(name, `my-model/${name}`));
    const deeper = fileOf('config.json', 'my-model/onnx/config.json');
    await expectTiny(openModel([deeper, ...inFolder]), 'my-model');
  });

  it('opens what implements the interfaces', async () => {
    await expectTiny(openModelInPage(fileDirectory(tinyModel)));
  });

  it('takes a path that exists for a path', async () => {
    const here = process.cwd();
    cpSync(tinyModel, join(folder, 'someone/tiny-lm'), { recursive: true });
    expect(await isHubModel('someone/tiny-lm')).toBe(true);
    process.chdir(folder);
    try {
      expect(await isHubModel('someone/tiny-lm')).toBe(false);
      expect(await isHubModel('hf:someone/tiny-lm')).toBe(true);
      await expectTiny(openModel('someone/tiny-lm', { endpoint: 'http://127.0.0.1:9' }));
    } finally {
      process.chdir(here);
    }
  });

  it('refuses pickle files on the disk and on servers, and directories of them', async () => {
    const directory = join(folder, 'pickled');
    cpSync(tinyModel, directory, { recursive: true });
    renameSync(join(directory, 'model.safetensors'), join(directory, 'pytorch_model.bin'));
    writeFileSync(join(folder, 'data'), Uint8Array.of(0x80, 2, 0x7d, 0x71));
    for (const input of [directory, join(directory, 'pytorch_model.bin'), join(folder, 'data')]) {
      await expect(openModel(input)).rejects.toThrow(/pickle file/);
    }
    await expect(openModelInPage(await openFileSource(join(folder, 'data')))).rejects.toThrow(/pickle file/);
    await expect(openModel(`${base}/other.gguf`)).rejects.toThrow(FileAccessError);
    await expect(openModel(`${base}/model.safetensors`)).rejects.toThrow(/without the config/);
  });
});
