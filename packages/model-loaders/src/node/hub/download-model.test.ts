import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import {
  AccessDeniedError,
  FileAccessError,
  InvalidArgumentError,
  MalformedFileError,
  NetworkError,
  UnsupportedError,
} from '@lbs/format';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import {
  cacheModel,
  content,
  type FakeHub,
  type FakeHubOptions,
  type FakeModel,
  startFakeHub,
} from '../../fixtures/fake-hub.mjs';
import { fixture, jsonFixture } from '../../fixtures/paths.js';
import { type DownloadModelOptions, downloadModel } from './download-model.js';

const folder = mkdtempSync(join(tmpdir(), 'lbs-hub-'));
const hubs: FakeHub[] = [];
let caches = 0;
const newCache = () => join(folder, `cache-${caches++}`);
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(async () => {
  for (const hub of hubs.splice(0)) await hub.close();
});

async function serve(
  options: FakeHubOptions = {},
  models: readonly FakeModel[] = [cacheModel],
): Promise<FakeHub> {
  const hub = await startFakeHub(models, options);
  hubs.push(hub);
  return hub;
}

const fast = { retries: 2, firstWaitMilliseconds: 1, longestWaitMilliseconds: 2 };
const { repo, commit, files } = cacheModel;
const weights = files['model.safetensors']!.bytes;

function download(hub: { endpoint: string }, options: DownloadModelOptions = {}, reference = repo) {
  const defaults = {
    endpoint: hub.endpoint,
    retry: fast,
    stallMilliseconds: 2_000,
    offline: false,
    token: '',
  };
  return downloadModel(reference, { ...defaults, cache: newCache(), ...options });
}

const blobOf = (cache: string, bytes: Uint8Array) =>
  join(cache, 'models--someone--tiny-model', 'blobs', createHash('sha256').update(bytes).digest('hex'));
const weightRequests = ({ requests }: FakeHub) => requests.filter(({ server }) => server === 'cdn');

/** Files and links below a folder as scripts/hub_cache.py describes them. */
function describeCache(cache: string): Record<string, object> {
  const found: Record<string, object> = {};
  for (const entry of readdirSync(cache, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const name = path.slice(cache.length + 1).replaceAll('\\', '/');
    if (entry.isSymbolicLink()) found[name] = { link: readlinkSync(path).replaceAll('\\', '/') };
    else if (entry.isFile()) {
      const bytes = readFileSync(path);
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      const isText = /\/(trees|refs)\//.test(name);
      found[name] = { size: bytes.length, sha256, ...(isText && { text: bytes.toString() }) };
    }
  }
  return found;
}

interface CacheVectors {
  readonly cache: Readonly<Record<string, { link?: string; sha256?: string; text?: string }>>;
}
const python = jsonFixture<CacheVectors>('hub-cache.json').cache;
const isShared = ([name]: [string, unknown]) => !name.startsWith('.locks/') && name !== 'CACHEDIR.TAG';

describe('the cache', () => {
  it('is what huggingface_hub makes of it', async () => {
    const hub = await serve();
    const cache = newCache();
    await download(hub, { cache });
    await download(hub, { cache }, `hf:${repo}/quantized/tiny.gguf`);
    expect(describeCache(cache)).toEqual(Object.fromEntries(Object.entries(python).filter(isShared)));
    expect(statSync(blobOf(cache, weights)).mode & 0o444).not.toBe(0);
  });

  it('that huggingface_hub filled is used as it is', async () => {
    const cache = newCache();
    const bySha256 = new Map(
      Object.values(files).map(({ bytes }) => [createHash('sha256').update(bytes).digest('hex'), bytes]),
    );
    for (const [name, { link, sha256, text }] of Object.entries(python).filter(isShared)) {
      mkdirSync(dirname(join(cache, name)), { recursive: true });
      if (link) symlinkSync(link, join(cache, name));
      else writeFileSync(join(cache, name), text ?? bySha256.get(sha256!)!);
    }
    const before = describeCache(cache);
    const nobody = { endpoint: 'http://127.0.0.1:9' };
    for (const [reference, path] of [
      [repo, ''],
      [`hf:${repo}@${commit}`, ''],
      [`hf:${repo}/quantized/tiny.gguf`, 'quantized/tiny.gguf'],
    ] as const) {
      const found = await download(nobody, { cache, offline: true }, reference);
      expect(found.path).toBe(join(cache, 'models--someone--tiny-model', 'snapshots', commit, path));
      expect(existsSync(found.path)).toBe(true);
    }
    // Pinned to a commit, nobody is asked either.
    expect((await download(nobody, { cache }, `hf:${repo}@${commit}`)).files).toHaveLength(3);
    expect(describeCache(cache)).toEqual(before);
    // Neither does an older client's cache, which has no listing of the commit, need a connection.
    rmSync(join(cache, 'models--someone--tiny-model', 'trees'), { recursive: true });
    expect((await download(nobody, { cache, offline: true })).files).toHaveLength(3);
  });

  it('is asked alone where the hub is down, and the hub alone where nothing is cached', async () => {
    const cache = newCache();
    await download(await serve(), { cache });
    const down = await serve({ intercept: (_, response) => Boolean(response.writeHead(503).end()) });
    expect((await download(down, { cache })).commit).toBe(commit);
    expect(down.requests).toHaveLength(1);
    await expect(download(down)).rejects.toThrow(NetworkError);
    await expect(download(down, { cache }, `hf:${repo}/quantized/tiny.gguf`)).rejects.toThrow(NetworkError);
  });

  it('holds files where there are no links', async () => {
    const cache = newCache();
    const hub = await serve();
    const { path } = await download(hub, { cache, symlinks: false });
    expect(lstatSync(join(path, 'model.safetensors')).isFile()).toBe(true);
    expect(existsSync(blobOf(cache, weights))).toBe(false);
    const requests = hub.requests.length;
    expect((await download(hub, { cache, symlinks: false })).path).toBe(path);
    expect(hub.requests.length).toBe(requests + 1);
  });

  it('shares a content between commits', async () => {
    const cache = newCache();
    const next = { ...cacheModel, commit: 'f'.repeat(40) };
    await download(await serve(), { cache });
    for (const symlinks of [true, false]) {
      const hub = await serve({}, [{ ...next, commit: symlinks ? next.commit : 'e'.repeat(40) }]);
      const { path } = await download(hub, { cache, symlinks });
      expect(readFileSync(join(path, 'model.safetensors'))).toEqual(Buffer.from(weights));
      expect(weightRequests(hub)).toHaveLength(0);
    }
  });
});

describe('a download', () => {
  it('tells how far it is', async () => {
    const steps: number[] = [];
    let total = 0;
    await download(await serve(), {
      onProgress: ({ bytesDone, bytesTotal }) => {
        steps.push(bytesDone);
        total = bytesTotal;
      },
    });
    expect(total).toBe(23 + 5000 + 70_000);
    expect(steps[0]).toBe(0);
    expect(steps.at(-1)).toBe(total);
    expect(steps).toEqual([...steps].sort((a, b) => a - b));
  });

  it('asks for shards of the index only', async () => {
    const shard = (name: string) => [name, { bytes: content(name, 500), large: true }] as const;
    const index = {
      weight_map: { a: 'model-00001-of-00002.safetensors', b: 'model-00002-of-00002.safetensors' },
    };
    const sharded = {
      ...cacheModel,
      files: {
        'config.json': files['config.json']!,
        'model.safetensors.index.json': { bytes: new TextEncoder().encode(JSON.stringify(index)) },
        ...Object.fromEntries(
          ['model-00001-of-00002', 'model-00002-of-00002', 'other'].map((x) => shard(`${x}.safetensors`)),
        ),
        'pytorch_model.bin': { bytes: content('pickle', 100), large: true },
      },
    };
    const hub = await serve({}, [sharded]);
    const { path } = await download(hub);
    expect(readdirSync(path).sort()).toEqual([
      'config.json',
      'model-00001-of-00002.safetensors',
      'model-00002-of-00002.safetensors',
      'model.safetensors.index.json',
    ]);
  });

  it('asks for all parts of a GGUF file that was split', async () => {
    const part = (i: number) =>
      [`q/m-0000${i}-of-00002.gguf`, { bytes: content(`part ${i}`, 100), large: true }] as const;
    const hub = await serve({}, [{ ...cacheModel, files: Object.fromEntries([part(1), part(2)]) }]);
    const { path } = await download(hub, {}, `hf:${repo}/q/m-00001-of-00002.gguf`);
    expect(readdirSync(dirname(path)).sort()).toEqual(['m-00001-of-00002.gguf', 'm-00002-of-00002.gguf']);
  });

  it('sends the token to the hub and to nobody else', async () => {
    const hub = await serve({ token: 'hf_secret' });
    await download(hub, { token: 'hf_secret' });
    for (const { server, headers } of hub.requests) {
      expect(headers.authorization).toBe(server === 'hub' ? 'Bearer hf_secret' : undefined);
    }
    await expect(download(hub)).rejects.toThrow(AccessDeniedError);
    const attempt = download(hub, { token: 'hf_other' }, `hf:${repo}`);
    await expect(attempt).rejects.toThrow(/RepoNotFound.*token/);
  });
});

/** Sends the beginning of the weights, and then nothing, or the end of the connection. */
function breakingCdn(
  length: number,
  how: 'breaks' | 'stalls',
  times = Number.POSITIVE_INFINITY,
): FakeHubOptions {
  let broken = 0;
  return {
    intercept(request, response: ServerResponse, server) {
      if (server !== 'cdn' || broken++ >= times) return false;
      const begin = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
      const size = weights.length;
      const range = begin > 0 ? { 'content-range': `bytes ${begin}-${size - 1}/${size}` } : {};
      response.writeHead(begin > 0 ? 206 : 200, { ...range, 'content-length': size - begin });
      response.write(weights.subarray(begin, begin + length), () => how === 'breaks' && response.destroy());
      return true;
    },
  };
}

describe('a download that breaks off', () => {
  it.each(['breaks', 'stalls'] as const)('goes on by itself when the server %s', async (how) => {
    const hub = await serve(breakingCdn(20_000, how, 2));
    const { path } = await download(hub, { stallMilliseconds: 1_000 });
    expect(readFileSync(join(path, 'model.safetensors'))).toEqual(Buffer.from(weights));
    expect(weightRequests(hub).map(({ headers }) => headers.range)).toEqual([
      undefined,
      'bytes=20000-69999',
      'bytes=40000-69999',
    ]);
  });

  it('leaves what it has for the next attempt, and nothing that is taken for whole', async () => {
    const cache = newCache();
    const hub = await serve(breakingCdn(10_000, 'breaks', 3));
    await expect(download(hub, { cache })).rejects.toThrow(NetworkError);
    expect(existsSync(blobOf(cache, weights))).toBe(false);
    expect(statSync(`${blobOf(cache, weights)}.incomplete`).size).toBe(30_000);
    await expect(download(hub, { cache, offline: true })).rejects.toThrow(
      /model.safetensors is not in the cache/,
    );
    const done: number[] = [];
    await download(hub, { cache, onProgress: ({ bytesDone }) => done.push(bytesDone) });
    expect(done[0]).toBe(30_000);
    expect(weightRequests(hub).at(-1)!.headers.range).toBe('bytes=30000-69999');
    expect(readFileSync(blobOf(cache, weights))).toEqual(Buffer.from(weights));
    expect(existsSync(`${blobOf(cache, weights)}.incomplete`)).toBe(false);
  });

  it('goes on where the server ignores ranges', async () => {
    const cache = newCache();
    await expect(download(await serve(breakingCdn(10_000, 'breaks', 3)), { cache })).rejects.toThrow(
      NetworkError,
    );
    const stubborn = await serve({
      intercept(request, _, server) {
        if (server === 'cdn') delete request.headers.range;
        return false;
      },
    });
    await download(stubborn, { cache });
    expect(readFileSync(blobOf(cache, weights))).toEqual(Buffer.from(weights));
  });

  it.each([
    ['other bytes', new Uint8Array(1000).fill(7)],
    ['too many bytes', new Uint8Array(80_000).fill(7)],
    ['all of them, and others', new Uint8Array(70_000).fill(7)],
  ])('begins anew when another client left %s', async (_, left) => {
    const cache = newCache();
    mkdirSync(dirname(blobOf(cache, weights)), { recursive: true });
    writeFileSync(`${blobOf(cache, weights)}.incomplete`, left);
    await download(await serve(), { cache });
    expect(readFileSync(blobOf(cache, weights))).toEqual(Buffer.from(weights));
  });

  it('can be cancelled, and goes on later', async () => {
    const cache = newCache();
    const hub = await serve(breakingCdn(10_000, 'stalls', 1));
    const controller = new AbortController();
    const reason = new Error('enough');
    const onProgress = ({ file, bytesDone }: { file: string; bytesDone: number }) => {
      if (file === 'model.safetensors' && bytesDone > 5023) controller.abort(reason);
    };
    await expect(download(hub, { cache, signal: controller.signal, onProgress })).rejects.toBe(reason);
    expect(statSync(`${blobOf(cache, weights)}.incomplete`).size).toBeGreaterThan(0);
    await download(hub, { cache });
    expect(readFileSync(blobOf(cache, weights))).toEqual(Buffer.from(weights));
  });
});

describe('processes', () => {
  const child = (hub: FakeHub, cache: string) => {
    const options = { endpoint: hub.endpoint, cache, token: '', retry: fast };
    return spawn(process.execPath, [fixture('download-child.mjs'), repo, JSON.stringify(options)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
  };

  it('that is killed leaves nothing that is taken for whole, and the next goes on', async () => {
    const cache = newCache();
    const hub = await serve(breakingCdn(30_000, 'stalls', 1));
    const killed = child(hub, cache);
    for await (const text of killed.stdout) {
      if (/^3502\d$/m.test(String(text))) break;
    }
    killed.kill('SIGKILL');
    if (killed.exitCode === null && killed.signalCode === null) await once(killed, 'exit');
    expect(existsSync(blobOf(cache, weights))).toBe(false);
    await expect(download(hub, { cache, offline: true })).rejects.toThrow(FileAccessError);
    await download(hub, { cache });
    expect(weightRequests(hub).at(-1)!.headers.range).toBe('bytes=30000-69999');
    expect(readFileSync(blobOf(cache, weights))).toEqual(Buffer.from(weights));
  });

  it('that come at once get the same files, downloaded once', async () => {
    const cache = newCache();
    const hub = await serve();
    const children = Array.from({ length: 3 }, () => child(hub, cache));
    const codes = await Promise.all(children.map(async (process) => (await once(process, 'exit'))[0]));
    expect(codes).toEqual([0, 0, 0]);
    expect(weightRequests(hub)).toHaveLength(1);
    const found = Object.entries(describeCache(cache)).filter(isShared);
    const wanted = Object.entries(python).filter((entry) => isShared(entry) && !/gguf|d81573/.test(entry[0]));
    expect(Object.fromEntries(found)).toEqual(Object.fromEntries(wanted));
    expect(Object.keys(describeCache(cache)).filter((name) => name.startsWith('.locks/'))).toEqual([]);
  });
});

describe('refused', () => {
  it.each([
    ['a repository that does not exist', 'hf:someone/other', AccessDeniedError, 'RepoNotFound'],
    ['a path that does not exist', 'models/other', AccessDeniedError, 'no such file here'],
    ['a revision that does not exist', `hf:${repo}@v2`, FileAccessError, 'RevisionNotFound'],
    ['a file that does not exist', `hf:${repo}/other.gguf`, FileAccessError, 'no file other.gguf'],
    ['a pickle file', `hf:${repo}/onnx/model.bin`, UnsupportedError, 'pickle'],
    ['no repository', 'hf:', InvalidArgumentError, 'names no repository'],
    ['a way out', 'hf:../..', InvalidArgumentError, 'names no repository'],
    ['a way out of the repository', `hf:${repo}/../../x.gguf`, InvalidArgumentError, 'not inside'],
  ] as const)('is %s', async (_, reference, error, message) => {
    const attempt = download(await serve(), {}, reference);
    await expect(attempt).rejects.toThrow(error);
    await expect(attempt).rejects.toThrow(message);
  });

  it.each([
    [
      'pickle files only',
      { 'pytorch_model.bin': { bytes: content('x', 9) } },
      UnsupportedError,
      /pytorch_model.bin is a pickle.*save_pretrained/,
    ],
    ['GGUF files only', { 'a.gguf': { bytes: content('x', 9) } }, UnsupportedError, `hf:${repo}/a.gguf`],
    [
      'no weights',
      { 'README.md': { bytes: content('x', 9) } },
      FileAccessError,
      'neither model.safetensors nor',
    ],
  ] as const)('is a repository with %s', async (_, only, error, message) => {
    const hub = await serve({}, [{ ...cacheModel, files: only }]);
    await expect(download(hub)).rejects.toThrow(error);
    await expect(download(hub)).rejects.toThrow(message);
    expect(weightRequests(hub)).toHaveLength(0);
  });

  it.each([
    ['model.safetensors', weights.map((byte, i) => (i === 5 ? byte ^ 1 : byte))],
    ['config.json', new TextEncoder().encode('{"model_type":"other"}\n')],
  ])('is a content of %s with another hash', async (file, bytes) => {
    const cache = newCache();
    const hub = await serve({
      intercept(request, response, server) {
        const isIt = file === 'config.json' ? request.url!.endsWith(file) : server === 'cdn';
        if (isIt) response.end(bytes);
        return isIt;
      },
    });
    await expect(download(hub, { cache })).rejects.toThrow(MalformedFileError);
    const blobs = readdirSync(join(cache, 'models--someone--tiny-model', 'blobs'));
    expect(blobs.some((name) => /incomplete/.test(name))).toBe(false);
    expect(existsSync(join(cache, 'models--someone--tiny-model', 'snapshots', commit, file))).toBe(false);
  });

  it('is a model that is too large for the disk, before it is downloaded', async () => {
    const hub = await serve({
      intercept(request, response) {
        if (!request.url!.includes('/tree/')) return false;
        const file = { type: 'file', path: 'model.safetensors', size: 2 ** 52, oid: 'a'.repeat(40) };
        response.end(JSON.stringify([file]));
        return true;
      },
    });
    await expect(download(hub)).rejects.toThrow(/4503599627.4 MB are to be downloaded.*HF_HUB_CACHE/);
    expect(hub.requests).toHaveLength(2);
  });

  const entry = { type: 'file', path: 'model.safetensors', size: 5, oid: 'a'.repeat(40) };
  it.each([
    ['an object', {}],
    ['a text', '<html>'],
    ['a path out of the repository', [{ ...entry, path: '../../.ssh/authorized_keys' }]],
    ['a path of another system', [{ ...entry, path: 'a\\..\\b' }]],
    ['an absolute path', [{ ...entry, path: '/etc/passwd' }]],
    ['a hash with a path', [{ ...entry, oid: '../../../x' }]],
    ['no hash', [{ ...entry, oid: undefined }]],
    ['a size that is none', [{ ...entry, size: -1 }]],
    ['a large file without its hash', [{ ...entry, lfs: { size: 5 } }]],
    ['entries that are none', [null]],
  ])('is a listing that is %s', async (_, listing) => {
    const hub = await serve({
      intercept(request, response) {
        if (!request.url!.includes('/tree/')) return false;
        response.end(typeof listing === 'string' ? listing : JSON.stringify(listing));
        return true;
      },
    });
    await expect(download(hub)).rejects.toThrow(MalformedFileError);
  });

  it.each([
    ['on another server', '<http://evil.example/page>; rel="next"', /next page/],
    ['that is the same', 'SELF', /next page/],
  ])('is a listing with a page %s', async (_, link, message) => {
    const hub = await serve({
      intercept(request, response) {
        if (!request.url!.includes('/tree/')) return false;
        const base = `http://${request.headers.host}${request.url}`;
        response.setHeader('link', link === 'SELF' ? `<${base}>; rel="next"` : link);
        response.end(JSON.stringify([entry]));
        return true;
      },
    });
    await expect(download(hub)).rejects.toThrow(message);
  });

  it('is a commit that is a path', async () => {
    const hub = await serve({
      intercept: (request, response) =>
        request.url!.includes('/revision/') && Boolean(response.end(JSON.stringify({ sha: '../../../etc' }))),
    });
    await expect(download(hub)).rejects.toThrow(/the commit is/);
  });

  it('is everything that is not cached while offline', async () => {
    await expect(download(await serve(), { offline: true })).rejects.toThrow(
      /not in the cache.*HF_HUB_OFFLINE/,
    );
  });
});
