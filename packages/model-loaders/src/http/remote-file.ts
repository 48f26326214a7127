import { NetworkError, SourceChangedError, UnsupportedError } from '@lbs/format';
import type { CancelOptions } from '../sources/random-access-source.js';
import { type ContentRange, parseContentRange } from './content-range.js';
import { displayUrl, type HttpAnswer, type HttpClient, sendOnce } from './http-client.js';
import { errorOfStatus, isMissing } from './http-status.js';
import { Retries, withRetries } from './retry.js';

/** A server may answer with less than it was asked for, but not so little that a file takes millions of requests. */
const SMALLEST_PARTIAL_ANSWER = 2 ** 16;

/** So much that arrived makes up for a failure: the next one is counted as the first. */
const BYTES_THAT_RESET_RETRIES = 2 ** 20;

/** What a request for a range gives: the answer, and which bytes of the file its body holds. */
interface RangeAnswer {
  readonly answer: HttpAnswer;
  readonly begin: number;
  readonly end: number;
}

/** What the first request for a file gives. */
export interface FirstBytes {
  readonly size: number;
  /** The beginning of the file; all of it where the server knows no ranges. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/**
 * A file of an HTTP server, read by ranges. Where the server redirected to is remembered, and asked directly until it
 * refuses, as signed addresses do when they expire.
 */
export class RemoteFile {
  readonly name: string;
  readonly #client: HttpClient;
  readonly #url: string;
  #target: string;
  #size: number | undefined;
  #version: string | undefined;

  /** `size` is given where it is known beforehand; a server that tells another one has another file. */
  constructor(client: HttpClient, url: string, name = displayUrl(url), size?: number) {
    this.#client = client;
    this.#url = url;
    this.#target = url;
    this.#size = size;
    this.name = name;
  }

  /**
   * Size and first bytes, at most `limit`. Undefined where there is no such file. Throws UnsupportedError where the
   * server knows no ranges and the file is larger, or does not tell its size.
   */
  async open(limit: number, options: CancelOptions): Promise<FirstBytes | undefined> {
    return withRetries(this.#client.retry, options, async () => {
      const answer = await this.#send({ headers: { range: `bytes=0-${limit - 1}` } }, options);
      try {
        if (isMissing(answer)) return undefined;
        this.#checkVersion(answer);
        if (answer.status === 200) return await this.#wholeOf(answer, limit);
        const range = parseContentRange(answer.headers.get('content-range'));
        if (answer.status === 416 && range?.size === 0) {
          this.#size = 0;
          return { size: 0, bytes: new Uint8Array() };
        }
        if (answer.status !== 206) throw errorOfStatus(answer, this.name);
        const size = range?.size ?? (await this.#sizeByHead(options));
        this.#checkSize(size);
        const length = Math.min(limit, size);
        if (range && (range.begin !== 0 || range.end > length)) throw this.#otherRange(range, 0, length);
        return { size, bytes: await this.#fill(new Uint8Array(range ? range.end : length), answer) };
      } finally {
        answer.cancel();
      }
    });
  }

  /**
   * The bytes from `begin` to `end` in pieces, as they arrive. A transfer that breaks off is taken up where it ended.
   * A server that ignores ranges is an UnsupportedError, unless `skip`: then what comes before `begin` is thrown away.
   */
  async *bytes(
    begin: number,
    end: number,
    { skip = false, ...options }: CancelOptions & { readonly skip?: boolean } = {},
  ): AsyncGenerator<Uint8Array, void> {
    const retries = new Retries(this.#client.retry);
    let at = begin;
    let lastFailure = begin;
    while (at < end) {
      try {
        const range = await this.#range(at, end, skip, options);
        let position = range.begin;
        try {
          for await (const piece of range.answer.body()) {
            if (piece.length > range.end - position) throw this.#tooMany(range.end - range.begin);
            const skipped = Math.min(piece.length, Math.max(0, at - position));
            position += piece.length;
            if (skipped === piece.length) continue;
            at = position;
            yield piece.subarray(skipped);
          }
        } finally {
          range.answer.cancel();
        }
        if (position < range.end) throw this.#broken(position - range.begin, range.end - range.begin);
      } catch (error) {
        if (at - lastFailure >= BYTES_THAT_RESET_RETRIES) retries.reset();
        lastFailure = at;
        await retries.waitAfter(error, options);
      }
    }
  }

  /** Asks for a range, once. */
  async #range(begin: number, end: number, skip: boolean, options: CancelOptions): Promise<RangeAnswer> {
    const isWhole = begin === 0 && end === this.#size;
    const headers = isWhole ? {} : { range: `bytes=${begin}-${end - 1}`, ...this.#ifRange() };
    const answer = await this.#send({ headers }, options);
    try {
      const { status } = answer;
      const range = parseContentRange(answer.headers.get('content-range'));
      if (status === 412 || (status === 416 && range && range.size !== this.#size)) throw this.#changed();
      if (status !== 200 && status !== 206) throw errorOfStatus(answer, this.name);
      this.#checkVersion(answer);
      if (status === 200) {
        const length = lengthOf(answer);
        if (length !== undefined) this.#checkSize(length);
        if (!isWhole && !skip) throw this.#noRanges();
        return { answer, begin: 0, end: this.#size ?? end };
      }
      if (!range) return { answer, begin, end };
      this.#checkSize(range.size ?? this.#size ?? range.end);
      const isTiny = range.end < end && range.end - begin < SMALLEST_PARTIAL_ANSWER;
      if (range.begin !== begin || range.end > end || isTiny) throw this.#otherRange(range, begin, end);
      return { answer, begin, end: range.end };
    } catch (error) {
      answer.cancel();
      throw error;
    }
  }

  /** Sends to where the last answer came from, and again to the URL itself where that is no longer let in. */
  async #send(
    init: { readonly method?: 'GET' | 'HEAD'; readonly headers: Readonly<Record<string, string>> },
    options: CancelOptions,
  ): Promise<HttpAnswer> {
    const isRedirected = this.#target !== this.#url;
    const isElsewhere = isRedirected && originOf(this.#target) !== originOf(this.#url);
    const headers = { ...(isElsewhere ? {} : this.#client.headers), ...init.headers };
    const answer = await sendOnce(this.#client, this.#target, { ...init, headers }, options);
    if (isRedirected && answer.status >= 400 && answer.status < 500 && answer.status !== 416) {
      answer.cancel();
      this.#target = this.#url;
      return this.#send(init, options);
    }
    if (answer.status < 400) this.#target = answer.url;
    return answer;
  }

  /** A whole file that came for its first bytes. */
  async #wholeOf(answer: HttpAnswer, limit: number): Promise<FirstBytes> {
    const length = lengthOf(answer);
    if (length !== undefined && length > limit) throw this.#noRanges();
    const pieces: Uint8Array[] = [];
    let size = 0;
    for await (const piece of answer.body()) {
      size += piece.length;
      if (size > limit) throw this.#noRanges();
      pieces.push(piece);
    }
    if (length !== undefined && length !== size) throw this.#broken(size, length);
    this.#checkSize(size);
    const bytes = new Uint8Array(size);
    let at = 0;
    for (const piece of pieces) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return { size, bytes };
  }

  async #fill(target: Uint8Array<ArrayBuffer>, answer: HttpAnswer): Promise<Uint8Array<ArrayBuffer>> {
    let at = 0;
    for await (const piece of answer.body()) {
      if (piece.length > target.length - at) throw this.#tooMany(target.length);
      target.set(piece, at);
      at += piece.length;
    }
    if (at < target.length) throw this.#broken(at, target.length);
    return target;
  }

  /** A page of another origin does not see Content-Range unless the server exposes it, but it sees Content-Length. */
  async #sizeByHead(options: CancelOptions): Promise<number> {
    const answer = await this.#send({ method: 'HEAD', headers: {} }, options);
    answer.cancel();
    if (answer.status !== 200) throw errorOfStatus(answer, this.name);
    const size = lengthOf(answer);
    if (size !== undefined) return size;
    throw new UnsupportedError('the server does not tell how large the file is', {
      file: this.name,
      mend: 'Download the file, and open it from the disk; or have the server expose Content-Range.',
    });
  }

  /**
   * If-Range makes a server send a changed file whole, which is noticed before its bytes are mixed with those of the old one.
   * In a page it would need a permission of other origins that few of them give; there the ETag of the answer is compared alone.
   */
  #ifRange(): Readonly<Record<string, string>> {
    const page = (globalThis as { location?: { origin: string } }).location;
    const isCrossOrigin = page !== undefined && page.origin !== originOf(this.#target);
    const isStrong = this.#version?.startsWith('"');
    return isStrong && !isCrossOrigin ? { 'if-range': this.#version! } : {};
  }

  #checkVersion({ status, headers }: HttpAnswer): void {
    if (status >= 300) return;
    const version = headers.get('etag') ?? headers.get('last-modified') ?? undefined;
    if (version !== undefined && this.#version !== undefined && version !== this.#version)
      throw this.#changed();
    this.#version ??= version;
  }

  #checkSize(size: number): void {
    if (this.#size !== undefined && this.#size !== size) throw this.#changed();
    this.#size = size;
  }

  #changed(): SourceChangedError {
    return new SourceChangedError('the file is not the one that was opened', {
      file: this.name,
      mend: 'Open it again when nothing is published there.',
    });
  }

  #noRanges(): UnsupportedError {
    return new UnsupportedError('the server does not answer range requests', {
      file: this.name,
      mend: 'Download the file, and open it from the disk.',
    });
  }

  #otherRange(range: ContentRange, begin: number, end: number): UnsupportedError {
    const problem = `the server answered bytes ${range.begin} to ${range.end} for ${begin} to ${end}`;
    return new UnsupportedError(problem, {
      file: this.name,
      mend: 'Download the file, and open it from the disk; the server is at fault.',
    });
  }

  #tooMany(expected: number): UnsupportedError {
    return new UnsupportedError(`the server sent more than the ${expected} bytes that it announced`, {
      file: this.name,
      mend: 'Download the file, and open it from the disk; the server is at fault.',
    });
  }

  #broken(got: number, expected: number): NetworkError {
    return new NetworkError(`the server broke off after ${got} of ${expected} bytes`, {
      file: this.name,
      mend: 'Check the connection, and try again later.',
    });
  }
}

/** Bytes of the body, where the server tells them and nothing packs them. */
function lengthOf({ headers }: HttpAnswer): number | undefined {
  const encoding = headers.get('content-encoding') ?? 'identity';
  const text = headers.get('content-length');
  if (encoding !== 'identity' || text === null || !/^\d{1,16}$/.test(text)) return undefined;
  return Number(text);
}

function originOf(url: string): string {
  return new URL(url).origin;
}
