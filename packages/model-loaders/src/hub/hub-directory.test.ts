import { MalformedFileError } from '@lbs/format';
import { expect, test } from 'vitest';
import { fakeFetch, serveRange } from '../fixtures/fake-server.js';
import { hubDirectory } from './hub-directory.js';

const endpoint = 'https://hub.example';
const commit = 'a1'.repeat(20);
const api = `${endpoint}/api/models/a/b`;
const bytes = Uint8Array.from({ length: 600 }, (_, i) => i % 251);
const entry = (path: string) => ({ type: 'file', path, size: 600, oid: 'b'.repeat(40) });
const json = (value: unknown, headers = {}) => new Response(JSON.stringify(value), { headers });

/** A hub of one repository, whose listing has two pages. */
const hub = () =>
  fakeFetch((request) => {
    const { url } = request;
    if (url === `${api}/revision/feature%2Fx`) return json({ sha: commit });
    if (url === `${api}/tree/${commit}?recursive=true`) {
      const next = `<${api}/tree/${commit}?page=2>; rel="next"`;
      return json([{ type: 'directory', path: 'sub' }, entry('config.json')], { link: next });
    }
    if (url === `${api}/tree/${commit}?page=2`) return json([entry('sub/a b.gguf')]);
    if (url.startsWith(`${endpoint}/a/b/resolve/${commit}/`)) return serveRange(bytes, request);
    return new Response(null, { status: 404 });
  });

test('a repository is listed, and its files are read by ranges, with the token', async () => {
  const fetch = hub();
  const directory = await hubDirectory({
    repo: 'a/b',
    revision: 'feature/x',
    endpoint,
    token: 'hf_x',
    fetch,
  });
  expect(directory.name).toBe('a/b');
  expect(directory.commit).toBe(commit);
  expect([...directory.files.keys()]).toEqual(['config.json', 'sub/a b.gguf']);
  expect(await directory.open('other.json')).toBeUndefined();
  const source = await directory.open('sub/a b.gguf');
  expect(source!.name).toBe('a/b/sub/a b.gguf');
  expect(await source!.read(590, 10)).toEqual(bytes.slice(590));
  expect(fetch.requests.at(-1)!.url).toBe(`${endpoint}/a/b/resolve/${commit}/sub/a%20b.gguf`);
  expect(fetch.requests.every(({ headers }) => headers.get('authorization') === 'Bearer hf_x')).toBe(true);
});

test('an answer that never ends is refused', async () => {
  const endless = fakeFetch(
    () =>
      new Response(
        new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(2 ** 20).fill(32)) }),
      ),
  );
  await expect(hubDirectory({ repo: 'a/b', endpoint, fetch: endless })).rejects.toThrow(MalformedFileError);
});

test('a listing that never ends is refused', async () => {
  let page = 0;
  const endless = fakeFetch(({ url }) => {
    if (!url.includes('/tree/')) return json({ sha: commit });
    return json([entry('config.json')], { link: `<${api}/tree/${commit}?page=${page++}>; rel="next"` });
  });
  await expect(hubDirectory({ repo: 'a/b', endpoint, fetch: endless })).rejects.toThrow(
    /more than 1000 pages/,
  );
});

test('an answer that is not text is refused', async () => {
  const binary = fakeFetch(() => new Response(Uint8Array.of(0x7b, 0xff, 0x7d)));
  await expect(hubDirectory({ repo: 'a/b', endpoint, fetch: binary })).rejects.toThrow(MalformedFileError);
});
