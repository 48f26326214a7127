import { randomUUID } from 'node:crypto';
import { access, copyFile, mkdir, readdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { isJsonObject } from '../../config/json-file.js';
import type { HubFile } from '../../hub/hub-api.js';
import { writeAtomically } from '../atomic-file.js';
import { fileAccessError } from '../file-access-error.js';

/** Errors of disks, systems and users that know or may make no links. */
const NO_SYMLINKS = new Set(['EPERM', 'EACCES', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EINVAL']);

/** Of the listings of commits, as huggingface_hub writes them. */
const TREE_FORMAT_VERSION = 1;

/**
 * One repository in the cache that all clients of the hub share:
 *
 *     models--owner--name/blobs/HASH                   contents, by the hash that the hub names them with
 *     models--owner--name/refs/REVISION                the commit that a branch or tag was at
 *     models--owner--name/snapshots/COMMIT/PATH        links into blobs; files where there are no links
 *     models--owner--name/trees/COMMIT.json            the files of a commit (huggingface_hub 2)
 *     .locks/models--owner--name/HASH.lock             who downloads (Python's clients; ours end in .lock.pid)
 */
export class HubCache {
  readonly #folder: string;
  readonly #locks: string;
  readonly #symlinks: boolean;

  constructor(cache: string, repo: string, symlinks: boolean) {
    const name = ['models', ...repo.split('/')].join('--');
    this.#folder = join(cache, name);
    this.#locks = join(cache, '.locks', name);
    this.#symlinks = symlinks;
  }

  /** Where the files of a commit are found under their own names. */
  snapshot(commit: string): string {
    return join(this.#folder, 'snapshots', commit);
  }

  blob({ blobId, sha256 }: HubFile): string {
    return join(this.#folder, 'blobs', sha256 ?? blobId);
  }

  lock({ blobId, sha256 }: HubFile): string {
    return join(this.#locks, `${sha256 ?? blobId}.lock.pid`);
  }

  /** The commit that a revision was at when it was last asked for. */
  async readRevision(revision: string): Promise<string | undefined> {
    const text = await readFile(join(this.#folder, 'refs', ...revision.split('/')), 'utf8').catch(() => '');
    return /^[\da-f]{40}$/.exec(text.trim())?.[0];
  }

  /** A cache on a disk that cannot be written serves what it has: that nothing is noted is no failure. */
  async noteRevision(revision: string, commit: string): Promise<void> {
    if (revision === commit || (await this.readRevision(revision)) === commit) return;
    await this.#write(join(this.#folder, 'refs', ...revision.split('/')), commit).catch(() => {});
  }

  /** The files of a commit, where they have been listed before. */
  async readTree(commit: string): Promise<ReadonlyMap<string, HubFile> | undefined> {
    const text = await readFile(this.#tree(commit), 'utf8').catch(() => undefined);
    if (text === undefined) return undefined;
    try {
      const { format_version, files } = JSON.parse(text);
      if (format_version !== TREE_FORMAT_VERSION || !isJsonObject(files)) return undefined;
      return new Map(Object.entries(files).map(([path, file]) => [path, fileOfTree(path, file)]));
    } catch {
      return undefined;
    }
  }

  /** As `noteRevision`. */
  async noteTree(commit: string, files: ReadonlyMap<string, HubFile>): Promise<void> {
    const sorted = [...files.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
    const entries = sorted.map(({ path, size, blobId, sha256, xetHash }) => [
      path,
      {
        size,
        blob_id: blobId,
        ...(sha256 !== undefined && { lfs_sha256: sha256, lfs_size: size }),
        ...(xetHash !== undefined && { xet_hash: xetHash }),
      },
    ]);
    const tree = { format_version: TREE_FORMAT_VERSION, files: Object.fromEntries(entries) };
    await this.#write(this.#tree(commit), JSON.stringify(tree, null, 1)).catch(() => {});
  }

  /** Names of the files that a snapshot has on its top level. */
  async namesIn(commit: string): Promise<readonly string[]> {
    return readdir(this.snapshot(commit)).catch(() => []);
  }

  /** True where a file of a commit is there; a link whose blob was deleted is not. */
  async has(commit: string, path: string): Promise<boolean> {
    return exists(join(this.snapshot(commit), path));
  }

  /** True where a content is there, of this or another commit. */
  async hasBlob(file: HubFile): Promise<boolean> {
    return exists(this.blob(file));
  }

  /** Bytes of a content that an earlier download left. */
  async partialBytes(file: HubFile): Promise<number> {
    const size = await stat(`${this.blob(file)}.incomplete`).then(
      (stats) => stats.size,
      () => 0,
    );
    return size <= file.size ? size : 0;
  }

  /** Makes the folders that a download needs. Throws FileAccessError. */
  async prepare(commit: string): Promise<void> {
    for (const folder of [join(this.#folder, 'blobs'), this.snapshot(commit), this.#locks])
      await makeFolder(folder);
  }

  /**
   * Gives a content its name in a snapshot: a relative link, so that the cache can be moved. Where there are no links,
   * a new content moves there, and another is copied, as Python's client does. Throws FileAccessError.
   */
  async link(commit: string, file: HubFile, isNew: boolean): Promise<void> {
    const pointer = join(this.snapshot(commit), ...file.path.split('/'));
    const blob = this.blob(file);
    await makeFolder(dirname(pointer));
    const temporary = `${pointer}.${randomUUID()}.tmp`;
    try {
      const linked = this.#symlinks && (await trySymlink(relative(dirname(pointer), blob), temporary));
      if (linked) await rename(temporary, pointer);
      else if (isNew) await rename(blob, pointer);
      else {
        await copyFile(blob, temporary);
        await rename(temporary, pointer);
      }
    } catch (cause) {
      await rm(temporary, { force: true });
      throw fileAccessError('the file cannot be put into the cache', pointer, cause);
    }
  }

  #tree(commit: string): string {
    return join(this.#folder, 'trees', `${commit}.json`);
  }

  async #write(path: string, text: string): Promise<void> {
    await mkdir(dirname(path), { recursive: true });
    await writeAtomically(path, async (handle) => void (await handle.write(text)));
  }
}

function fileOfTree(path: string, file: unknown): HubFile {
  const { size, blob_id, lfs_sha256, xet_hash } = file as Record<string, unknown>;
  const isHash = (hash: unknown) => typeof hash === 'string' && /^[\da-f]{40,64}$/.test(hash);
  const valid = Number.isSafeInteger(size) && isHash(blob_id) && (lfs_sha256 == null || isHash(lfs_sha256));
  if (!valid) throw new SyntaxError(`no file of a tree: ${path}`);
  return {
    path,
    size: size as number,
    blobId: blob_id as string,
    ...(lfs_sha256 != null && { sha256: lfs_sha256 as string }),
    ...(xet_hash != null && { xetHash: xet_hash as string }),
  };
}

async function trySymlink(target: string, path: string): Promise<boolean> {
  try {
    await symlink(target, path);
    return true;
  } catch (error) {
    if (NO_SYMLINKS.has((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}

async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true }).catch((cause) => {
    throw fileAccessError('the folder cannot be made', path, cause);
  });
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
