import { MalformedFileError } from '@lbs/format';
import { describeValue, isJsonObject, type JsonObject } from '../config/json-file.js';
import { fetchJson } from '../http/fetch-json.js';
import { createHttpClient, type HttpClient, type HttpOptions } from '../http/http-client.js';
import type { CancelOptions } from '../sources/random-access-source.js';
import { assertRepoName, DEFAULT_HUB_ENDPOINT, type HubReference, isInsidePath } from './hub-reference.js';

/** How the hub, or a server with the same interface, is talked to. */
export interface HubOptions extends HttpOptions {
  /** Of the server; by default `https://huggingface.co`. */
  readonly endpoint?: string | undefined;
  /** Of a user, for private and gated repositories: `hf_...`. */
  readonly token?: string | undefined;
}

/** A file of a repository at one commit. */
export interface HubFile {
  /** Inside the repository, with slashes. */
  readonly path: string;
  /** In bytes. */
  readonly size: number;
  /** Name of the object in git: SHA-1 of its header and content. Of a large file, that of its pointer. */
  readonly blobId: string;
  /** SHA-256 of the content of a large file. */
  readonly sha256?: string | undefined;
  /** Its name in another storage of the hub, kept for the clients that use it. */
  readonly xetHash?: string | undefined;
}

/** A full commit hash, which never changes its meaning. */
export const COMMIT_HASH = /^[\da-f]{40}$/;

/** As long as the hub's Python client waits for an answer that it can do without. */
const IMPATIENT_STALL_MILLISECONDS = 10_000;

/** A page of 1000 files has some 300 kB. */
const MAX_ANSWER_BYTES = 2 ** 24;

/** No published model comes near; a server could go on forever. The hub's pages have up to 1000 files. */
const MAX_FILES = 200_000;
const MAX_PAGES = 1_000;

/** A hub, and the one who asks it. */
export class HubApi {
  readonly endpoint: string;
  readonly client: HttpClient;
  readonly #options: HubOptions;

  constructor(options: HubOptions) {
    this.#options = options;
    const { endpoint = DEFAULT_HUB_ENDPOINT, token, ...http } = options;
    this.endpoint = endpoint.replace(/\/+$/, '');
    const authorization = token ? { authorization: `Bearer ${token}` } : {};
    this.client = createHttpClient({ ...http, headers: { ...authorization, ...http.headers } });
  }

  /** The same hub, asked once and for a short time. */
  impatient(): HubApi {
    const stallMilliseconds = Math.min(this.client.stallMilliseconds, IMPATIENT_STALL_MILLISECONDS);
    return new HubApi({ ...this.#options, retry: { retries: 0 }, stallMilliseconds });
  }

  /** The commit that a branch or tag is at. Throws AccessDeniedError, FileAccessError, NetworkError, MalformedFileError. */
  async resolveCommit({ repo, revision }: HubReference, options: CancelOptions): Promise<string> {
    if (COMMIT_HASH.test(revision)) return revision;
    const file = `${repo}@${revision}`;
    const url = `${this.#api(repo)}/revision/${encodeURIComponent(revision)}`;
    const { json } = await fetchJson(this.client, url, { ...options, limit: MAX_ANSWER_BYTES, file });
    const sha = isJsonObject(json) ? json['sha'] : undefined;
    if (typeof sha === 'string' && COMMIT_HASH.test(sha)) return sha;
    throw malformed(`the commit is ${describeValue(sha)}`, file);
  }

  /** All files of a repository at a commit, by path. Throws as `resolveCommit`. */
  async listFiles(
    repo: string,
    commit: string,
    options: CancelOptions,
  ): Promise<ReadonlyMap<string, HubFile>> {
    const files = new Map<string, HubFile>();
    const file = `${repo}@${commit}`;
    let pages = 0;
    let url: string | undefined = `${this.#api(repo)}/tree/${commit}?recursive=true`;
    while (url !== undefined) {
      const answer: { json: unknown; headers: Headers } = await fetchJson(this.client, url, {
        ...options,
        limit: MAX_ANSWER_BYTES,
        file,
      });
      if (!Array.isArray(answer.json)) throw malformed('the listing is not a list', file);
      for (const entry of answer.json) {
        const found = parseEntry(entry, file);
        if (found) files.set(found.path, found);
      }
      if (files.size > MAX_FILES) throw malformed(`the listing has more than ${MAX_FILES} files`, file);
      url = this.#nextPage(answer.headers.get('link'), url, file);
      if (++pages > MAX_PAGES) throw malformed(`the listing has more than ${MAX_PAGES} pages`, file);
    }
    return files;
  }

  /** Where a file's content is. */
  fileUrl(repo: string, revision: string, path: string): string {
    assertRepoName(repo);
    const encoded = path.split('/').map(encodeURIComponent).join('/');
    return `${this.endpoint}/${repo}/resolve/${encodeURIComponent(revision)}/${encoded}`;
  }

  #api(repo: string): string {
    assertRepoName(repo);
    return `${this.endpoint}/api/models/${repo}`;
  }

  /** The token goes with every request: another server than the endpoint may not be named as the next page's. */
  #nextPage(link: string | null, base: string, file: string): string | undefined {
    const [, target] = /<([^>]*)>\s*;[^,]*\brel="?next"?/.exec(link ?? '') ?? [];
    if (target === undefined) return undefined;
    const url = URL.canParse(target, base) ? new URL(target, base) : undefined;
    if (url?.origin === new URL(this.endpoint).origin && url.href !== base) return url.href;
    throw malformed(`the next page of the listing is ${describeValue(target)}`, file);
  }
}

function parseEntry(entry: unknown, file: string): HubFile | undefined {
  if (!isJsonObject(entry)) throw malformed(`an entry of the listing is ${describeValue(entry)}`, file);
  if (entry['type'] !== 'file') return undefined;
  const { path, size, oid: blobId, lfs, xetHash } = entry;
  if (typeof path !== 'string' || !isInsidePath(path))
    throw malformed(`a path is ${describeValue(path)}`, file);
  return {
    path,
    size: sizeOf(isJsonObject(lfs) ? lfs['size'] : size, path, file),
    blobId: hashOf(blobId, /^(?:[\da-f]{40}|[\da-f]{64})$/, path, file),
    ...(isJsonObject(lfs) && { sha256: hashOf(lfs['oid'], /^[\da-f]{64}$/, path, file) }),
    ...(typeof xetHash === 'string' && { xetHash }),
  };
}

function sizeOf(size: JsonObject[string], path: string, file: string): number {
  if (Number.isSafeInteger(size) && (size as number) >= 0) return size as number;
  throw malformed(`the size of ${path} is ${describeValue(size)}`, file);
}

function hashOf(hash: unknown, pattern: RegExp, path: string, file: string): string {
  if (typeof hash === 'string' && pattern.test(hash)) return hash;
  throw malformed(`the hash of ${path} is ${describeValue(hash)}`, file);
}

function malformed(problem: string, file: string): MalformedFileError {
  return new MalformedFileError(problem, { file, mend: 'Check that the endpoint is a hub.' });
}
