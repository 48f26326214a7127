import type { ModelDirectory } from '../sources/model-directory.js';
import type { CancelOptions } from '../sources/random-access-source.js';
import { urlSource } from '../sources/url-source.js';
import { HubApi, type HubFile, type HubOptions } from './hub-api.js';
import type { HubReference } from './hub-reference.js';

/** A repository of the hub that is read without being downloaded. */
export interface HubDirectory extends ModelDirectory {
  /** The commit that all files are of, whatever is pushed meanwhile. */
  readonly commit: string;
  /** Every file of that commit. */
  readonly files: ReadonlyMap<string, HubFile>;
}

/**
 * A repository of the hub as a directory whose files are read by range requests, in Node and in browsers. Throws
 * AccessDeniedError, FileAccessError for a repository or revision that does not exist, NetworkError and MalformedFileError.
 */
export async function hubDirectory({
  repo,
  revision = 'main',
  signal,
  ...options
}: Pick<HubReference, 'repo'> & { readonly revision?: string } & HubOptions &
  CancelOptions): Promise<HubDirectory> {
  const api = new HubApi(options);
  const commit = await api.resolveCommit({ repo, revision }, { signal });
  const files = await api.listFiles(repo, commit, { signal });
  return {
    name: repo,
    commit,
    files,
    async open(fileName, openOptions) {
      if (!files.has(fileName)) return undefined;
      return urlSource(api.fileUrl(repo, commit, fileName), {
        ...api.client,
        ...openOptions,
        name: `${repo}/${fileName}`,
      });
    },
  };
}
