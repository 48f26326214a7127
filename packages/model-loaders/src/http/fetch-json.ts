import { MalformedFileError } from '@lbs/format';
import type { CancelOptions } from '../sources/random-access-source.js';
import { displayUrl, type HttpClient, sendOnce } from './http-client.js';
import { errorOfStatus } from './http-status.js';
import { withRetries } from './retry.js';

/** A parsed answer and its headers. */
export interface JsonAnswer {
  readonly json: unknown;
  readonly headers: Headers;
}

/**
 * Gets JSON of at most `limit` bytes. Throws MalformedFileError for another answer, and as `urlSource` where none
 * comes. `file` is for messages.
 */
export async function fetchJson(
  client: HttpClient,
  url: string,
  {
    limit,
    file = displayUrl(url),
    signal,
  }: CancelOptions & { readonly limit: number; readonly file?: string },
): Promise<JsonAnswer> {
  return withRetries(client.retry, { signal }, async () => {
    const headers = { ...client.headers, accept: 'application/json' };
    const answer = await sendOnce(client, url, { headers }, { signal });
    try {
      if (answer.status !== 200) throw errorOfStatus(answer, file);
      const decoder = new TextDecoder('utf-8', { fatal: true });
      let text = '';
      let size = 0;
      for await (const piece of answer.body()) {
        size += piece.length;
        if (size > limit) throw malformed(file, `it is longer than ${limit} bytes`);
        text += decoder.decode(piece, { stream: true });
      }
      return { json: JSON.parse(text + decoder.decode()), headers: answer.headers };
    } catch (error) {
      if (error instanceof SyntaxError || error instanceof TypeError)
        throw malformed(file, error.message, error);
      throw error;
    } finally {
      answer.cancel();
    }
  });
}

function malformed(file: string, what: string, cause?: unknown): MalformedFileError {
  return new MalformedFileError(`the server's answer is no JSON that is expected here (${what})`, {
    file,
    mend: 'Check the address of the server.',
    cause,
  });
}
