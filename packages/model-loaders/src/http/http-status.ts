import { AccessDeniedError, FileAccessError, type LbsError, NetworkError } from '@lbs/format';
import type { HttpAnswer } from './http-client.js';
import { RetryableError } from './retry.js';

/** Statuses of servers that are overloaded or restart. */
const PASSING = new Set([408, 425, 429, 500, 502, 503, 504]);

/** A status of 404 or 410: there is no such file. */
export function isMissing({ status }: HttpAnswer): boolean {
  return status === 404 || status === 410;
}

/** The error for an answer that is no success; ends its transfer. A RetryableError where the status passes. */
export function errorOfStatus(answer: HttpAnswer, file: string): LbsError | RetryableError {
  answer.cancel();
  const { status } = answer;
  if (status === 401 || status === 403) {
    return new AccessDeniedError(`the server refuses access (HTTP ${status}${detailOf(answer)})`, {
      file,
      mend: 'Pass a token that may read it, and accept the licence on its page where it has one.',
    });
  }
  if (isMissing(answer)) {
    return new FileAccessError(`there is no such file (HTTP ${status}${detailOf(answer)})`, {
      file,
      mend: 'Check the name, and the token: private files look as if they did not exist.',
    });
  }
  if (!PASSING.has(status)) {
    const mend = 'Check the URL.';
    return new FileAccessError(`the server refuses the request (HTTP ${status}${detailOf(answer)})`, {
      file,
      mend,
    });
  }
  const wait = retryAfterOf(answer.headers);
  const asked = wait === undefined ? '' : `, which asks to wait ${Math.ceil(wait / 1000)} s`;
  const error = new NetworkError(`the server is overloaded or restarts (HTTP ${status}${asked})`, {
    file,
    mend: 'Try again later.',
  });
  return new RetryableError(error, wait);
}

/** The hub says in a header what is wrong. */
function detailOf({ headers }: HttpAnswer): string {
  const message = headers.get('x-error-message') ?? headers.get('x-error-code');
  return message ? `: ${message.slice(0, 300)}` : '';
}

/** Retry-After as seconds or as a date (RFC 9110, 10.2.3), in milliseconds. */
function retryAfterOf(headers: Headers): number | undefined {
  const text = headers.get('retry-after')?.trim();
  if (!text) return undefined;
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now());
}
