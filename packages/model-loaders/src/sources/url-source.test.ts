import {
  AccessDeniedError,
  crc32,
  FileAccessError,
  InvalidArgumentError,
  NetworkError,
  SourceChangedError,
  UnsupportedError,
} from '@lbs/format';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type FakeAnswer, fakeFetch, serveRange, withBrokenBody } from '../fixtures/fake-server.js';
import { findUrlSource, type UrlSourceOptions, urlSource } from './url-source.js';

const url = 'https://models.example/weights.bin?token=secret';
const file = Uint8Array.from({ length: 3 * 2 ** 17 }, (_, i) => (i * i) >>> 9);
const readAheadBytes = 1024;
/** For servers that stall; the others answer at once, however busy the machine is. */
const impatient = { stallMilliseconds: 300 };
const retry = { retries: 3, firstWaitMilliseconds: 1, longestWaitMilliseconds: 4 };

function open(answer: FakeAnswer, more: UrlSourceOptions = {}) {
  const fake = fakeFetch(answer);
  const source = urlSource(url, { fetch: fake, readAheadBytes, retry, stallMilliseconds: 20_000, ...more });
  return { requests: fake.requests, source };
}

const plain: FakeAnswer = (request) => serveRange(file, request, { etag: '"v1"' });

/** Answers normally, but the nth request (from 0) as `other` says. */
function but(n: number | 'later', other: (response: Response) => Response | Promise<Response>): FakeAnswer {
  let count = 0;
  return async (request) => {
    const response = await plain(request);
    const index = count++;
    return index === n || (n === 'later' && index > 0) ? other(response) : response;
  };
}

const withHeaders = (response: Response, change: Record<string, string | null>, status = response.status) => {
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(change)) {
    if (value === null) headers.delete(name);
    else headers.set(name, value);
  }
  return new Response(response.body, { status, headers });
};

const failing = (status: number, headers: Record<string, string> = {}) =>
  new Response('no', { status, headers });

describe('urlSource', () => {
  it('reads what a file has, at any offset and length', async () => {
    const { source, requests } = open(plain);
    const opened = await source;
    expect(opened.size).toBe(file.length);
    expect(opened.name).toBe('https://models.example/weights.bin');
    await fc.assert(
      fc.asyncProperty(fc.nat(file.length), fc.nat(5000), async (offset, length) => {
        const end = Math.min(file.length, offset + length);
        expect(await opened.read(offset, end - offset)).toEqual(file.slice(offset, end));
      }),
      { numRuns: 60 },
    );
    expect(requests.every(({ headers }) => headers.get('range') !== null)).toBe(true);
    await expect(opened.read(file.length - 1, 2)).rejects.toThrow(InvalidArgumentError);
  });

  it('reads ahead, so that a header of small pieces is one request', async () => {
    const { source, requests } = open(plain);
    const opened = await source;
    for (let at = 0; at + 8 <= 1024; at += 8) await opened.read(at, 8);
    expect(requests).toHaveLength(1);
    for (let at = 2000; at + 8 <= 3000; at += 8) await opened.read(at, 8);
    expect(requests).toHaveLength(2);
    expect(requests[1]!.headers.get('range')).toBe('bytes=2000-3023');
    // A page may not send it to another origin without being asked for permission first.
    expect(requests[1]!.headers.get('if-range')).toBe('location' in globalThis ? null : '"v1"');
  });

  it('reads behind 4 GiB', async () => {
    const size = 2 ** 33 + 5;
    const opened = await open(({ headers }) => {
      const [, first, last] = /(\d+)-(\d+)/.exec(headers.get('range')!)!;
      const end = Math.min(size, Number(last) + 1);
      const bytes = Uint8Array.from({ length: end - Number(first) }, (_, i) => (Number(first) + i) % 251);
      return new Response(bytes, {
        status: 206,
        headers: { 'content-range': `bytes ${first}-${end - 1}/${size}` },
      });
    }).source;
    expect(opened.size).toBe(size);
    for (const offset of [2 ** 31 - 2, 2 ** 32 - 2, size - 4]) {
      expect([...(await opened.read(offset, 4))]).toEqual([0, 1, 2, 3].map((i) => (offset + i) % 251));
    }
  });

  it('gives buffers that belong to the caller', async () => {
    const opened = await open(plain).source;
    (await opened.read(0, 16)).fill(255);
    expect(await opened.read(0, 16)).toEqual(file.slice(0, 16));
    expect((await opened.read(8, 16)).buffer.byteLength).toBe(16);
  });

  it('sends the headers that it was given', async () => {
    const { source, requests } = open(plain, { headers: { authorization: 'Bearer x' } });
    await (await source).read(9000, 10);
    expect(requests.map(({ headers }) => headers.get('authorization'))).toEqual(['Bearer x', 'Bearer x']);
  });

  it('opens an empty file, and a small one whose server knows no ranges', async () => {
    expect((await open((request) => serveRange(new Uint8Array(), request)).source).size).toBe(0);
    const small = file.slice(0, 1000);
    const whole = await open(() => new Response(small)).source;
    expect(whole.size).toBe(1000);
    expect(await whole.read(990, 10)).toEqual(small.slice(990));
  });

  it('learns the size by HEAD where Content-Range is hidden', async () => {
    const hide: FakeAnswer = async (request) => withHeaders(await plain(request), { 'content-range': null });
    const { source, requests } = open(hide);
    const opened = await source;
    expect(opened.size).toBe(file.length);
    expect(requests.map(({ method }) => method)).toEqual(['GET', 'HEAD']);
    expect(await opened.read(5000, 5000)).toEqual(file.slice(5000, 10_000));
  });

  it('takes pieces of a range that a server does not give at once', async () => {
    const { source, requests } = open((request) => {
      const [, first, last] = /(\d+)-(\d+)/.exec(request.headers.get('range')!)!;
      const most = Math.min(Number(last), Number(first) + 2 ** 16 - 1);
      const headers = new Headers({ range: `bytes=${first}-${most}` });
      return serveRange(file, { ...request, headers });
    });
    expect(crc32(await (await source).read(10, file.length - 10))).toBe(crc32(file.subarray(10)));
    expect(requests).toHaveLength(1 + 6);
  });
});

describe('a server that fails now and then', () => {
  it.each(['ends', 'fails', 'stalls'] as const)('is asked for the rest when its answer %s', async (how) => {
    for (const length of [0, 700]) {
      const { source, requests } = open(
        but(1, (response) => withBrokenBody(response, length, how)),
        impatient,
      );
      expect(await (await source).read(10_000, 5_000)).toEqual(file.slice(10_000, 15_000));
      expect(requests[2]!.headers.get('range')).toBe(`bytes=${10_000 + length}-14999`);
    }
    const again = open(
      but(0, (response) => withBrokenBody(response, 7, how)),
      impatient,
    );
    expect((await again.source).size).toBe(file.length);
  });

  it.each([408, 429, 500, 502, 503, 504])('is asked again after the status %i', async (status) => {
    expect((await open(but(0, () => failing(status))).source).size).toBe(file.length);
    const opened = await open(but(1, () => failing(status, { 'retry-after': '0' }))).source;
    expect(await opened.read(5000, 3)).toEqual(file.slice(5000, 5003));
  });

  it('is asked again when it cannot be reached, and when it is silent', async () => {
    const unreachable = () => Promise.reject(new TypeError('fetch failed'));
    for (const other of [unreachable, () => new Promise<Response>(() => {})]) {
      expect(await (await open(but(1, other), impatient).source).read(5000, 3)).toEqual(
        file.slice(5000, 5003),
      );
    }
  });

  it('is given up when it sends a byte now and then', async () => {
    let sent = 0;
    const trickle = () => {
      const body = new ReadableStream<Uint8Array>({
        async pull(controller) {
          await new Promise((resolve) => setTimeout(resolve, 5));
          sent++;
          controller.enqueue(Uint8Array.of(0));
        },
      });
      return new Response(body, { status: 206 });
    };
    const opened = await open(but('later', trickle), { ...impatient, retry: { ...retry, retries: 0 } })
      .source;
    await expect(opened.read(5000, 100_000)).rejects.toThrow(/too little within 300 ms/);
    expect(sent).toBeLessThan(100);
  });

  it('is given up after the last retry', async () => {
    for (const other of [
      () => failing(503),
      (response: Response) => withBrokenBody(response, 3, 'ends'),
      (response: Response) => withBrokenBody(response, 3, 'stalls'),
      () => Promise.reject(new TypeError('fetch failed')),
    ]) {
      const { source, requests } = open(but('later', other), impatient);
      const opened = await source;
      await expect(opened.read(5000, 2000)).rejects.toThrow(NetworkError);
      expect(requests).toHaveLength(1 + 1 + retry.retries);
      expect(requests.every((request) => request.url === url)).toBe(true);
    }
  });

  it('may fail more often while it makes progress', async () => {
    const large = new Uint8Array(24 * 2 ** 20).map((_, i) => i >>> 12);
    let count = 0;
    const { source } = open(async (request) => {
      const response = serveRange(large, request);
      return count++ === 0 ? response : withBrokenBody(response, 2 ** 21, 'fails');
    });
    expect((await (await source).read(0, large.length)).length).toBe(large.length);
    expect(count).toBe(1 + 12);
  });

  it('is given up at once when it asks for a long wait, and says so', async () => {
    const { source, requests } = open(but(0, () => failing(429, { 'retry-after': '3600' })));
    await expect(source).rejects.toThrow(/HTTP 429, which asks to wait 3600 s/);
    expect(requests).toHaveLength(1);
    const date = new Date(Date.now() + 86_400_000).toUTCString();
    await expect(open(but(0, () => failing(503, { 'retry-after': date }))).source).rejects.toThrow(
      /wait 86[34]\d\d s/,
    );
  });
});

describe('a server that refuses or lies', () => {
  it.each([
    ['401', () => failing(401), AccessDeniedError, 'HTTP 401'],
    ['403', () => failing(403, { 'x-error-message': 'gated' }), AccessDeniedError, 'HTTP 403: gated'],
    ['404', () => failing(404), FileAccessError, 'no such file'],
    ['400', () => failing(400), FileAccessError, 'HTTP 400'],
    ['501', () => failing(501), FileAccessError, 'HTTP 501'],
    ['416 of a file that is there', () => failing(416), FileAccessError, 'HTTP 416'],
    ['a large file as a whole', () => new Response(file), UnsupportedError, 'range requests'],
    [
      'another range',
      (response: Response) => withHeaders(response, { 'content-range': `bytes 1-1024/${file.length}` }),
      UnsupportedError,
      'answered bytes 1 to 1025 for 0 to 1024',
    ],
    [
      'a larger range',
      (response: Response) => withHeaders(response, { 'content-range': `bytes 0-9999/${file.length}` }),
      UnsupportedError,
      'answered bytes 0 to 10000',
    ],
    [
      'more than it announced',
      (response: Response) => withHeaders(response, { 'content-range': `bytes 0-9/${file.length}` }),
      UnsupportedError,
      'more than the 10 bytes',
    ],
  ] as const)('on opening: %s', async (_, other, error, message) => {
    const { source, requests } = open(but(0, other as (response: Response) => Response));
    await expect(source).rejects.toThrow(error);
    await expect(source).rejects.toThrow(message);
    await expect(source).rejects.not.toThrow('secret');
    expect(requests).toHaveLength(1);
  });

  it.each([
    ['403', () => failing(403), AccessDeniedError],
    ['404', () => failing(404), FileAccessError],
    ['the whole file', () => new Response(file, { headers: { etag: '"v1"' } }), UnsupportedError],
    ['another ETag', (r: Response) => withHeaders(r, { etag: '"v2"' }), SourceChangedError],
    ['a new file as a whole', () => new Response(file, { headers: { etag: '"v2"' } }), SourceChangedError],
    [
      'another size',
      (r: Response) => withHeaders(r, { 'content-range': 'bytes 5000-6999/7000' }),
      SourceChangedError,
    ],
    ['416', () => failing(416, { 'content-range': 'bytes */7' }), SourceChangedError],
    ['412', () => failing(412), SourceChangedError],
    [
      'another range',
      (r: Response) => withHeaders(r, { 'content-range': `bytes 0-1999/${file.length}` }),
      UnsupportedError,
    ],
    [
      'a byte at a time',
      (r: Response) => withHeaders(r, { 'content-range': `bytes 5000-5000/${file.length}` }),
      UnsupportedError,
    ],
    ['too much', () => new Response(file, { status: 206 }), UnsupportedError],
  ] as const)('on reading: %s', async (_, other, error) => {
    const { source, requests } = open(but(1, other as (response: Response) => Response));
    const opened = await source;
    await expect(opened.read(5000, 2000)).rejects.toThrow(error);
    expect(requests).toHaveLength(2);
  });

  it('by a body without end', async () => {
    const endless = () =>
      new Response(new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(512)) }));
    await expect(open(endless).source).rejects.toThrow(UnsupportedError);
  });

  it('by a size that it does not tell', async () => {
    const { source } = open((request) =>
      request.method === 'HEAD' ? new Response(null) : new Response(file.slice(0, 1024), { status: 206 }),
    );
    await expect(source).rejects.toThrow(/does not tell how large/);
  });

  it('is told from one that has no such file', async () => {
    expect(await findUrlSource(url, { fetch: fakeFetch(() => failing(404)) })).toBeUndefined();
    await expect(findUrlSource(url, { fetch: fakeFetch(() => failing(403)) })).rejects.toThrow(
      AccessDeniedError,
    );
  });
});

describe('a server that redirects', () => {
  const signed = 'https://cdn.example/blob?signature=1';
  const redirected = (response: Response) => Object.defineProperty(response, 'url', { value: signed });

  it('is left alone afterwards, and gets no headers at its target, until the target refuses', async () => {
    let expired = false;
    const { source, requests } = open(
      (request) => {
        if (request.url === signed && expired) return failing(403);
        return redirected(serveRange(file, request));
      },
      { headers: { authorization: 'Bearer x' } },
    );
    const opened = await source;
    await opened.read(5000, 2000);
    expired = true;
    expect(await opened.read(9000, 2000)).toEqual(file.slice(9000, 11_000));
    expect(requests.map((request) => [request.url, request.headers.get('authorization')])).toEqual([
      [url, 'Bearer x'],
      [signed, null],
      [signed, null],
      [url, 'Bearer x'],
    ]);
  });
});

describe('a caller who stops', () => {
  it('gets the reason at once, on opening, between retries and while bytes come', async () => {
    const reason = new Error('enough');
    await expect(open(plain, { signal: AbortSignal.abort(reason) }).source).rejects.toBe(reason);

    const opening = new AbortController();
    const silent = open(() => new Promise<Response>(() => {}), {
      signal: opening.signal,
      stallMilliseconds: 60_000,
    });
    opening.abort(reason);
    await expect(silent.source).rejects.toBe(reason);

    const slow = { retry: { ...retry, firstWaitMilliseconds: 60_000, longestWaitMilliseconds: 60_000 } };
    const waiting = new AbortController();
    const opened = await open(
      but('later', () => failing(503)),
      slow,
    ).source;
    const read = opened.read(5000, 2000, { signal: waiting.signal });
    setTimeout(() => waiting.abort(reason), 5);
    await expect(read).rejects.toBe(reason);

    const reading = new AbortController();
    const stalled = await open(
      but('later', (r) => withBrokenBody(r, 5, 'stalls')),
      { stallMilliseconds: 60_000 },
    ).source;
    const stalledRead = stalled.read(5000, 2000, { signal: reading.signal });
    setTimeout(() => reading.abort(reason), 5);
    await expect(stalledRead).rejects.toBe(reason);
  });
});

describe('arguments', () => {
  it.each(['file:///etc/passwd', 'weights.bin', 'https://user:password@example.org/x', 'data:,x'])(
    'the URL %s is refused',
    async (address) => {
      await expect(urlSource(address)).rejects.toThrow(InvalidArgumentError);
      await expect(urlSource(address)).rejects.not.toThrow('password@');
    },
  );

  it('readAheadBytes is positive', async () => {
    await expect(urlSource(url, { readAheadBytes: 0 })).rejects.toThrow(InvalidArgumentError);
  });
});
