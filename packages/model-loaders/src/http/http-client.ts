import { NetworkError } from '@lbs/format';
import type { CancelOptions } from '../sources/random-access-source.js';
import { defaultRetryPolicy, type RetryPolicy } from './retry.js';

/** How servers are talked to. Everything may be left out. */
export interface HttpOptions {
  /** In the place of the global fetch: for a proxy, a test, a service worker. */
  readonly fetch?: typeof fetch | undefined;
  /**
   * Sent with every request, such as `authorization`. To a host that the server redirects to they go as `fetch` passes
   * them on: `authorization` stays at home.
   */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** What is tried again, how often and after how long. */
  readonly retry?: Partial<RetryPolicy> | undefined;
  /**
   * The longest wait for a server before a request is given up and tried again: for its answer, and for every 64 KiB of
   * it or its end. By default 30,000 ms.
   */
  readonly stallMilliseconds?: number | undefined;
}

/** HttpOptions with everything filled in. */
export interface HttpClient {
  readonly fetch: typeof fetch;
  readonly headers: Readonly<Record<string, string>>;
  readonly retry: RetryPolicy;
  readonly stallMilliseconds: number;
}

/** A server that sends a byte now and then would hold a reader for ever. */
const LEAST_PROGRESS_BYTES = 2 ** 16;

/** As long as the hub's own client waits for headers three times over: cold storage may take a while. */
const DEFAULT_STALL_MILLISECONDS = 30_000;

export function createHttpClient(options: HttpOptions = {}): HttpClient {
  return {
    // Called as a method of anything but the global object, a browser's fetch throws.
    fetch: options.fetch ?? ((input, init) => fetch(input, init)),
    headers: options.headers ?? {},
    retry: { ...defaultRetryPolicy, ...options.retry },
    stallMilliseconds: options.stallMilliseconds ?? DEFAULT_STALL_MILLISECONDS,
  };
}

/** A URL for messages: without the parts that may hold a secret. */
export function displayUrl(url: string): string {
  return url.replace(/[?#].*$/s, '').replace(/^(\w+:\/\/)[^/@]*@/, '$1');
}

/** An answer whose headers are here, and whose body is read piece by piece. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** Where the answer came from, after redirects. */
  readonly url: string;
  /** The body as it arrives. Throws NetworkError when it breaks off or stalls. */
  body(): AsyncGenerator<Uint8Array, void>;
  /** Ends the transfer; called for every answer whose body is not read to its end. */
  cancel(): void;
}

/**
 * Sends one request, once. Throws NetworkError when no answer comes, whatever the reason: a browser does not tell
 * a refused connection from a missing CORS header. An answer with any status is returned.
 */
export async function sendOnce(
  client: HttpClient,
  url: string,
  init: { readonly method?: 'GET' | 'HEAD'; readonly headers?: Readonly<Record<string, string>> },
  { signal }: CancelOptions = {},
): Promise<HttpAnswer> {
  signal?.throwIfAborted();
  const watch = new StallWatch(client.stallMilliseconds, url, signal);
  let response: Response;
  try {
    response = await watch.during(
      client.fetch(url, {
        method: init.method ?? 'GET',
        headers: { ...init.headers },
        signal: watch.signal,
        redirect: 'follow',
      }),
    );
  } catch (cause) {
    watch.end();
    throw watch.explain(cause, 'the server cannot be reached');
  }
  watch.gained(LEAST_PROGRESS_BYTES);
  const cancel = () => {
    watch.end();
    // A body that is locked or gone needs no cancelling.
    response.body?.cancel().catch(() => {});
  };
  return {
    status: response.status,
    headers: response.headers,
    url: response.url || url,
    cancel,
    async *body() {
      const reader = response.body?.getReader();
      if (!reader) return watch.end();
      try {
        for (;;) {
          const { done, value } = await watch.during(reader.read());
          if (done) return;
          watch.gained(value.length);
          yield value;
        }
      } catch (cause) {
        throw watch.explain(cause, 'the server broke off in the middle of its answer');
      } finally {
        watch.end();
        reader.cancel().catch(() => {});
      }
    },
  };
}

/** Ends a request when nothing comes for too long, or when the caller's signal is aborted. */
class StallWatch {
  readonly #controller = new AbortController();
  readonly #milliseconds: number;
  readonly #url: string;
  readonly #outer: AbortSignal | undefined;
  readonly #forward = () => this.#controller.abort(this.#outer?.reason);
  #stalled = false;
  /** Left to wait before the next 64 KiB are here. Time in which nobody waits, because what came is worked on, does not count. */
  #patience: number;
  #gained = 0;

  constructor(milliseconds: number, url: string, outer: AbortSignal | undefined) {
    this.#milliseconds = milliseconds;
    this.#patience = milliseconds;
    this.#url = url;
    this.#outer = outer;
    outer?.addEventListener('abort', this.#forward, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Waits for a step of the transfer. A fetch that somebody passed in may not heed its signal, so the wait ends by itself. */
  async during<T>(step: Promise<T>): Promise<T> {
    const { signal } = this.#controller;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let onAbort: (() => void) | undefined;
    const start = performance.now();
    const ended = new Promise<never>((_, reject) => {
      onAbort = () => reject(signal.reason);
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
      timer = setTimeout(() => {
        this.#stalled = true;
        this.#controller.abort(new Error('stalled'));
      }, this.#patience);
    });
    try {
      return await Promise.race([step, ended]);
    } finally {
      this.#patience -= performance.now() - start;
      clearTimeout(timer);
      if (onAbort) signal.removeEventListener('abort', onAbort);
      // The loser of the race is awaited by nobody.
      step.catch(() => {});
    }
  }

  /** Called with what arrived. */
  gained(bytes: number): void {
    this.#gained += bytes;
    if (this.#gained < LEAST_PROGRESS_BYTES) return;
    this.#gained = 0;
    this.#patience = this.#milliseconds;
  }

  end(): void {
    this.#outer?.removeEventListener('abort', this.#forward);
  }

  /** The error to throw for what a step threw: the caller's own reason stays as it is. */
  explain(cause: unknown, problem: string): unknown {
    if (this.#outer?.aborted) return this.#outer.reason;
    const what = this.#stalled ? `the server sent too little within ${this.#milliseconds} ms` : problem;
    return new NetworkError(what, {
      file: displayUrl(this.#url),
      mend: 'Check the connection, and try again later.',
      cause,
    });
  }
}
