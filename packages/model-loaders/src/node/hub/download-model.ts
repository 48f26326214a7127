import { readFile, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AccessDeniedError, FileAccessError, InvalidArgumentError, NetworkError } from '@lbs/format';
import { parseJsonObject } from '../../config/json-file.js';
import { ggufShardNames } from '../../gguf/gguf-shard-names.js';
import { RemoteFile } from '../../http/remote-file.js';
import { COMMIT_HASH, HubApi, type HubFile, type HubOptions } from '../../hub/hub-api.js';
import { type HubReference, parseHubReference, parseRepoName } from '../../hub/hub-reference.js';
import { modelFiles } from '../../hub/model-files.js';
import { isPickleName, pickleError } from '../../model/pickle-files.js';
import { WEIGHTS_INDEX_FILE } from '../../model/weight-files.js';
import { parseShardIndex } from '../../safetensors/safetensors-shards.js';
import type { CancelOptions } from '../../sources/random-access-source.js';
import { waitForLock } from '../job-lock.js';
import { downloadBlob } from './download-blob.js';
import { HubCache } from './hub-cache.js';
import { type HubSettings, hubSettings } from './hub-settings.js';

/** How a model is downloaded. What is left out comes from the environment, as `hubSettings` says. */
export interface DownloadModelOptions extends HubOptions, CancelOptions {
  /** The folder that all clients of the hub share. */
  readonly cache?: string | undefined;
  /** Whether only the cache is asked. */
  readonly offline?: boolean | undefined;
  /** Whether the cache has links. */
  readonly symlinks?: boolean | undefined;
  /** Called when the download begins, and as bytes arrive. Not called where nothing is missing. */
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
}

/** How far a download is. */
export interface DownloadProgress {
  /** The file that is downloaded at present. */
  readonly file: string;
  /** Of all files that were missing, those that an earlier attempt left included. */
  readonly bytesDone: number;
  readonly bytesTotal: number;
}

/** A model in the cache. */
export interface DownloadedModel {
  /** Of the directory, or of the one file that was asked for. */
  readonly path: string;
  /** `owner/name`. */
  readonly repo: string;
  readonly commit: string;
  /** In the directory. */
  readonly files: readonly string[];
}

/** Left free for everything else, in bytes: a full disk breaks more than a download. */
const SPARE_DISK_BYTES = 2 ** 26;

/**
 * Downloads what a model needs into the cache that all clients of the hub share, unless it is there: its config and
 * tokenizer, and its safetensors, or the one file that `reference` names (`hf:owner/name/file.gguf`). Contents are
 * compared with their hash. A download that failed or was killed goes on where it ended. Where the hub cannot be
 * reached, what the cache has of the revision is used.
 *
 * Throws AccessDeniedError, FileAccessError (no such repository, revision or file; not in the cache while offline; the
 * disk is too small), NetworkError, MalformedFileError (another hash), UnsupportedError (pickle files only) and
 * InvalidArgumentError for a reference that names no repository.
 */
export async function downloadModel(
  reference: string,
  options: DownloadModelOptions = {},
): Promise<DownloadedModel> {
  const settings = await settingsOf(options);
  const parsed = parseHubReference(reference, settings.endpoint) ?? parseRepoName(reference);
  if (!parsed) {
    throw new InvalidArgumentError('this names no repository of the hub', {
      file: reference,
      mend: 'Write hf:owner/name, hf:owner/name@revision or hf:owner/name/file.gguf.',
    });
  }
  if (parsed.file !== undefined && isPickleName(parsed.file)) throw pickleError(reference);
  try {
    return await new ModelDownload(parsed, settings, options).run();
  } catch (error) {
    if (error instanceof AccessDeniedError && parseRepoName(reference)) throw maybeMistyped(reference, error);
    throw error;
  }
}

/** Of a model that does not exist the hub says that access is refused; and `owner/name` may be meant as a path. */
function maybeMistyped(reference: string, cause: AccessDeniedError): AccessDeniedError {
  return new AccessDeniedError(
    'there is no such file here, and the hub has no such model or does not show it',
    {
      file: reference,
      mend: 'Check the spelling; for a private or gated model, set HF_TOKEN and accept the licence on its page.',
      cause,
    },
  );
}

type Settings = HubSettings & Pick<DownloadModelOptions, 'token'>;

async function settingsOf(options: DownloadModelOptions): Promise<Settings> {
  const { endpoint, cache, token, offline, symlinks } = options;
  const given = Object.entries({ endpoint, cache, token, offline, symlinks }).filter(
    ([, value]) => value !== undefined,
  );
  return { ...(await hubSettings()), ...Object.fromEntries(given) };
}

class ModelDownload {
  readonly #reference: HubReference;
  readonly #api: HubApi;
  readonly #cache: HubCache;
  readonly #cacheFolder: string;
  readonly #offline: boolean;
  readonly #options: DownloadModelOptions;

  constructor(reference: HubReference, settings: Settings, options: DownloadModelOptions) {
    this.#reference = reference;
    this.#api = new HubApi({ ...options, endpoint: settings.endpoint, token: settings.token });
    this.#cache = new HubCache(settings.cache, reference.repo, settings.symlinks);
    this.#cacheFolder = settings.cache;
    this.#offline = settings.offline;
    this.#options = options;
  }

  async run(): Promise<DownloadedModel> {
    this.#options.signal?.throwIfAborted();
    const { repo, file } = this.#reference;
    const { commit, files } = await this.#locate();
    const snapshot = this.#cache.snapshot(commit);
    if (file !== undefined) {
      const parts = ggufShardNames(file) ?? [file];
      await this.#fetchMissing(commit, files, parts);
      return { path: join(snapshot, ...file.split('/')), repo, commit, files: parts };
    }
    const names = new Set(files ? files.keys() : await this.#cache.namesIn(commit));
    const needed = await modelFiles(names, repo, async () => {
      await this.#fetchMissing(commit, files, [WEIGHTS_INDEX_FILE]);
      const path = join(snapshot, WEIGHTS_INDEX_FILE);
      return [...new Set(parseShardIndex(parseJsonObject(await readFile(path), path), path).values())];
    });
    await this.#fetchMissing(commit, files, needed);
    return { path: snapshot, repo, commit, files: needed };
  }

  /** The commit, and its files where somebody has listed them. */
  async #locate(): Promise<{ commit: string; files: ReadonlyMap<string, HubFile> | undefined }> {
    const { repo, revision } = this.#reference;
    const { signal } = this.#options;
    const cached = COMMIT_HASH.test(revision) ? revision : await this.#cache.readRevision(revision);
    const ofCache = async (commit: string) => ({ commit, files: await this.#cache.readTree(commit) });
    if (this.#offline) {
      if (cached === undefined) throw this.#notCached(`revision ${revision}`);
      return ofCache(cached);
    }
    try {
      // With something to fall back to, an hour without a connection does not begin with half a minute of retries.
      const asking = cached === undefined ? this.#api : this.#api.impatient();
      const commit = await asking.resolveCommit(this.#reference, { signal });
      await this.#cache.noteRevision(revision, commit);
      const known = await this.#cache.readTree(commit);
      if (known) return { commit, files: known };
      const files = await this.#api.listFiles(repo, commit, { signal });
      await this.#cache.noteTree(commit, files);
      return { commit, files };
    } catch (error) {
      if (error instanceof NetworkError && cached !== undefined) return ofCache(cached);
      throw error;
    }
  }

  async #fetchMissing(
    commit: string,
    files: ReadonlyMap<string, HubFile> | undefined,
    names: readonly string[],
  ): Promise<void> {
    const missing: HubFile[] = [];
    for (const name of names) {
      if (await this.#cache.has(commit, name)) continue;
      const file = files?.get(name);
      if (file && !this.#offline) missing.push(file);
      else throw files && !file ? this.#noSuchFile(name) : this.#notCached(name);
    }
    if (missing.length === 0) return;
    await this.#cache.prepare(commit);
    const transfers = [];
    for (const file of missing) {
      const isThere = await this.#cache.hasBlob(file);
      transfers.push({
        file,
        isThere,
        left: isThere ? 0 : file.size - (await this.#cache.partialBytes(file)),
      });
    }
    await this.#assertDiskSpace(transfers.reduce((sum, { left }) => sum + left, 0));
    const bytesTotal = transfers.reduce((sum, { file, isThere }) => sum + (isThere ? 0 : file.size), 0);
    let finished = 0;
    for (const { file, isThere } of transfers) {
      const onBytes = (bytes: number) =>
        this.#options.onProgress?.({ file: file.path, bytesDone: finished + bytes, bytesTotal });
      await this.#fetchOne(commit, file, onBytes);
      if (!isThere) finished += file.size;
    }
  }

  async #fetchOne(commit: string, file: HubFile, onBytes: (bytes: number) => void): Promise<void> {
    const { repo } = this.#reference;
    const { signal } = this.#options;
    const unlock = await waitForLock(this.#cache.lock(file), { signal });
    try {
      // Another process may have been quicker.
      if (await this.#cache.has(commit, file.path)) return;
      const isNew = !(await this.#cache.hasBlob(file));
      if (isNew) {
        const url = this.#api.fileUrl(repo, commit, file.path);
        const remote = new RemoteFile(this.#api.client, url, `${repo}/${file.path}`, file.size);
        await downloadBlob({ remote, file, blob: this.#cache.blob(file), onBytes, signal });
      }
      await this.#cache.link(commit, file, isNew);
    } finally {
      await unlock();
    }
  }

  /** Throws FileAccessError where a download would fill the disk. */
  async #assertDiskSpace(needed: number): Promise<void> {
    const free = await freeBytes(this.#cacheFolder);
    if (free === undefined || needed + SPARE_DISK_BYTES <= free) return;
    const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
    throw new FileAccessError(
      `${megabytes(needed)} are to be downloaded, and ${megabytes(free)} are free on the disk`,
      {
        file: this.#cacheFolder,
        mend: 'Free some disk space, or set HF_HUB_CACHE to a folder of another disk.',
      },
    );
  }

  #noSuchFile(name: string): FileAccessError {
    const { repo, revision } = this.#reference;
    return new FileAccessError(`the repository has no file ${name} at revision ${revision}`, {
      file: repo,
      mend: 'Check the name.',
    });
  }

  #notCached(what: string): FileAccessError {
    const why = this.#offline ? 'and only the cache is asked' : 'and the hub cannot be reached';
    return new FileAccessError(`${what} is not in the cache, ${why}`, {
      file: this.#reference.repo,
      mend: this.#offline
        ? 'Unset HF_HUB_OFFLINE to download it.'
        : 'Check the connection, and try again later.',
    });
  }
}

/** Of the disk that a folder is on, or will be; undefined where the system does not tell. */
async function freeBytes(folder: string): Promise<number | undefined> {
  const found = await statfs(folder).catch(() => undefined);
  if (found) return found.bavail * found.bsize;
  return dirname(folder) === folder ? undefined : freeBytes(dirname(folder));
}
