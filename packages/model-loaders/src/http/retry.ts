import { NetworkError } from '@lbs/format';
import type { CancelOptions } from '../sources/random-access-source.js';

/** What is tried again, how often and after how long. */
export interface RetryPolicy {
  /** How often a request is tried again before its error is thrown. */
  readonly retries: number;
  /** The longest wait before the first retry; it doubles with each one. */
  readonly firstWaitMilliseconds: number;
  /** No wait is longer. A server that asks for a longer one with Retry-After is given up at once. */
  readonly longestWaitMilliseconds: number;
}

/** Six attempts within about a minute: enough for a server that restarts, and for a connection that comes back. */
export const defaultRetryPolicy: RetryPolicy = {
  retries: 5,
  firstWaitMilliseconds: 1_000,
  longestWaitMilliseconds: 60_000,
};

/** An error that passes, and how long the server asked to wait. */
export class RetryableError extends Error {
  constructor(
    override readonly cause: unknown,
    readonly retryAfterMilliseconds?: number,
  ) {
    super('try again');
  }
}

/** Counts the attempts at one thing, and waits between them. */
export class Retries {
  #failures = 0;
  readonly #policy: RetryPolicy;

  constructor(policy: RetryPolicy) {
    this.#policy = policy;
  }

  /** Called when something was gained: the next failure is the first again. */
  reset(): void {
    this.#failures = 0;
  }

  /**
   * Waits before the next attempt. Throws `error`, or what it wraps, where it does not pass or no attempt is left,
   * and the signal's reason. The wait is random below an exponential bound, so that many clients do not come back at once.
   */
  async waitAfter(error: unknown, { signal }: CancelOptions): Promise<void> {
    const thrown = error instanceof RetryableError ? error.cause : error;
    const passes = error instanceof RetryableError || error instanceof NetworkError;
    if (!passes || this.#failures >= this.#policy.retries) throw thrown;
    const { firstWaitMilliseconds, longestWaitMilliseconds } = this.#policy;
    const bound = Math.min(firstWaitMilliseconds * 2 ** this.#failures, longestWaitMilliseconds);
    const asked = error instanceof RetryableError ? error.retryAfterMilliseconds : undefined;
    if (asked !== undefined && asked > longestWaitMilliseconds) throw thrown;
    this.#failures++;
    await sleep(Math.max(asked ?? 0, bound * (0.5 + Math.random() / 2)), signal);
  }
}

/** Runs `attempt` until it does not fail, or fails for good. */
export async function withRetries<T>(
  policy: RetryPolicy,
  options: CancelOptions,
  attempt: () => Promise<T>,
): Promise<T> {
  const retries = new Retries(policy);
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      await retries.waitAfter(error, options);
    }
  }
}

async function sleep(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  let onAbort: (() => void) | undefined;
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    onAbort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
  }).finally(() => onAbort && signal?.removeEventListener('abort', onAbort));
}
