import { InvalidArgumentError } from '@lbs/format';

/** Where the public hub is. */
export const DEFAULT_HUB_ENDPOINT = 'https://huggingface.co';

/** A repository of the hub at a revision, and maybe one of its files. */
export interface HubReference {
  /** `owner/name`, or a name alone for the oldest models. */
  readonly repo: string;
  /** A branch, a tag or a commit. */
  readonly revision: string;
  /** A path inside the repository. */
  readonly file?: string | undefined;
}

/** The hub's own rule for a part of a repository's name; it leaves no way out of a directory. */
const NAME = /^(?!.*(?:--|\.\.))[\da-z_](?:[\w.-]{0,94}[\da-z_])?$/i;

/** Revisions that have slashes themselves: pull requests and conversions. */
const SPECIAL_REVISION = /^(refs\/(?:pr|convert)\/[^/]+)(?:\/(.*))?$/s;

/**
 * Reads what users write for a model of the hub: `hf:owner/name`, `hf:owner/name@revision`, `hf:owner/name/file.gguf`,
 * `hf:owner/name@revision/file.gguf`, and the address of its page. Undefined for a text of another kind; throws
 * InvalidArgumentError for one of these kinds that names no repository.
 */
export function parseHubReference(
  text: string,
  endpoint: string = DEFAULT_HUB_ENDPOINT,
): HubReference | undefined {
  const prefix = /^hf:(\/\/)?/i.exec(text)?.[0];
  if (prefix !== undefined) return parsePath(text.slice(prefix.length), text);
  for (const host of new Set([endpoint, DEFAULT_HUB_ENDPOINT])) {
    if (text.startsWith(`${host}/`)) return parsePage(text.slice(host.length + 1), text);
  }
  return undefined;
}

/** `owner/name`, as the hub shows it beside a button to copy it; undefined for anything else. */
export function parseRepoName(text: string): HubReference | undefined {
  const parts = text.split('/');
  return parts.length === 2 && parts.every((part) => NAME.test(part))
    ? { repo: text, revision: 'main' }
    : undefined;
}

/** Throws InvalidArgumentError for a text that is no repository's name. */
export function assertRepoName(repo: string, shown = repo): void {
  const parts = repo.split('/');
  if (parts.length <= 2 && parts.every((part) => NAME.test(part))) return;
  throw new InvalidArgumentError('this names no repository of the hub', {
    file: shown,
    mend: 'Write hf:owner/name, hf:owner/name@revision or hf:owner/name/file.gguf.',
  });
}

/** True for a path that stays inside of a repository. */
export function isInsidePath(path: string): boolean {
  return path
    .split('/')
    .every((part) => part !== '' && part !== '.' && part !== '..' && !/[\\:\p{Cc}]/u.test(part));
}

function parsePath(path: string, shown: string): HubReference {
  const [, repo = '', rest, plainFile] = /^([^/@]*(?:\/[^/@]*)?)(?:@(.*)|\/(.*))?$/s.exec(path) ?? [];
  if (rest === undefined)
    return checked(plainFile ? repo : repo.replace(/\/$/, ''), 'main', plainFile, shown);
  const [, special, specialFile] = SPECIAL_REVISION.exec(rest) ?? [];
  if (special !== undefined) return checked(repo, special, specialFile, shown);
  const [, revision = '', file] = /^([^/]*)(?:\/(.*))?$/s.exec(rest) ?? [];
  return checked(repo, decoded(revision, shown), file, shown);
}

/** `owner/name`, `owner/name/tree/REVISION`, `owner/name/blob/REVISION/FILE` or the same with `resolve`. */
function parsePage(path: string, shown: string): HubReference | undefined {
  const parts = path
    .replace(/[?#].*$/s, '')
    .replace(/\/+$/, '')
    .split('/');
  const [owner, name, kind, revision, ...file] = parts;
  if (kind === undefined) return checked(parts.join('/'), 'main', undefined, shown);
  if (!/^(tree|blob|resolve)$/.test(kind) || revision === undefined) return undefined;
  const filePath = kind === 'tree' ? undefined : file.map((part) => decoded(part, shown)).join('/');
  return checked(`${owner}/${name}`, decoded(revision, shown), filePath, shown);
}

function checked(repo: string, revision: string, file: string | undefined, shown: string): HubReference {
  assertRepoName(repo, shown);
  if (!isInsidePath(revision)) throw new InvalidArgumentError('the revision makes no sense', { file: shown });
  if (!file) return { repo, revision };
  if (!isInsidePath(file))
    throw new InvalidArgumentError('the path is not inside the repository', { file: shown });
  return { repo, revision, file };
}

function decoded(text: string, shown: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new InvalidArgumentError('a part of it is no valid URL encoding', { file: shown, cause });
  }
}
