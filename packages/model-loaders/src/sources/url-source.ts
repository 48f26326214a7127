import { FileAccessError, InvalidArgumentError } from '@lbs/format';
import { createHttpClient, displayUrl, type HttpOptions } from '../http/http-client.js';
import { RemoteFile } from '../http/remote-file.js';
import { assertRange, type CancelOptions, type RandomAccessSource } from './random-access-source.js';

/** How a file of a server is read. */
export interface UrlSourceOptions extends HttpOptions, CancelOptions {
  /** For messages; by default the URL without its query. */
  readonly name?: string | undefined;
  /**
   * Read at once where less is asked for, in bytes, and kept until something else is read: headers are read in many small
   * pieces. By default 256 KiB.
   */
  readonly readAheadBytes?: number | undefined;
}

/** A model's header is a few requests of this; a request takes as long as the transfer of so much. */
const DEFAULT_READ_AHEAD_BYTES = 2 ** 18;

/**
 * Opens a file of an HTTP server for random access by range requests; nothing is read but what is asked for, and a
 * little ahead. A transfer that breaks off is taken up again, and what passes is tried again with growing waits. Throws
 *
 * - AccessDeniedError for 401 and 403, FileAccessError for 404 and other refusals,
 * - NetworkError when a server stays silent, breaks off, or answers 429 or 5xx, after all retries,
 * - SourceChangedError when the file's ETag or size is another than when it was opened,
 * - UnsupportedError for a server that ignores ranges, unless the file is smaller than `readAheadBytes`, or that
 *   answers with another range than the one asked for.
 */
export async function urlSource(
  url: string | URL,
  options: UrlSourceOptions = {},
): Promise<RandomAccessSource> {
  const source = await findUrlSource(url, options);
  if (source) return source;
  throw new FileAccessError('there is no such file', {
    file: options.name ?? displayUrl(String(url)),
    mend: 'Check the URL, and the token: private files look as if they did not exist.',
  });
}

/** As `urlSource`; undefined where the server has no such file. */
export async function findUrlSource(
  url: string | URL,
  { name, readAheadBytes = DEFAULT_READ_AHEAD_BYTES, signal, ...http }: UrlSourceOptions = {},
): Promise<RandomAccessSource | undefined> {
  const address = httpAddress(url);
  if (!Number.isSafeInteger(readAheadBytes) || readAheadBytes < 1) {
    throw new InvalidArgumentError(`readAheadBytes is ${readAheadBytes}, not a positive integer`);
  }
  const file = new RemoteFile(createHttpClient(http), address, name);
  const first = await file.open(readAheadBytes, { signal });
  if (!first) return undefined;
  const { size } = first;
  let kept = { begin: 0, bytes: first.bytes };

  async function fetchRange(
    begin: number,
    end: number,
    options: CancelOptions,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(end - begin);
    let at = 0;
    for await (const piece of file.bytes(begin, end, options)) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return bytes;
  }

  return {
    name: file.name,
    size,
    async read(offset, length, { signal } = {}) {
      signal?.throwIfAborted();
      assertRange(file.name, size, offset, length);
      if (length === 0) return new Uint8Array();
      const end = offset + length;
      const { begin, bytes: ahead } = kept;
      if (offset >= begin && end <= begin + ahead.length) return ahead.slice(offset - begin, end - begin);
      if (length >= readAheadBytes) return fetchRange(offset, end, { signal });
      const bytes = await fetchRange(offset, Math.min(size, offset + readAheadBytes), { signal });
      kept = { begin: offset, bytes };
      return bytes.slice(0, length);
    },
  };
}

function httpAddress(url: string | URL): string {
  const parsed = URL.canParse(String(url)) ? new URL(url) : undefined;
  const isHttp = parsed?.protocol === 'http:' || parsed?.protocol === 'https:';
  if (isHttp && parsed.username === '' && parsed.password === '') return parsed.href;
  throw new InvalidArgumentError('this is not an http or https URL without a user name', {
    file: displayUrl(String(url)),
    mend: 'Give a URL such as https://example.org/model.gguf, and pass credentials as a header.',
  });
}
