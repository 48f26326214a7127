import { randomUUID } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { CancelOptions } from '../sources/random-access-source.js';
import { fileAccessError } from './file-access-error.js';

/**
 * Writes a file beside its target and renames it when all of it is on the disk: a reader sees the old file or the
 * new one, and a process that has the old one open keeps it. When `write` throws or the signal is aborted, nothing
 * is left behind. Throws FileAccessError.
 */
export async function writeAtomically(
  path: string,
  write: (handle: FileHandle) => Promise<void>,
  { signal }: CancelOptions = {},
): Promise<void> {
  signal?.throwIfAborted();
  const partial = join(dirname(path), `.${basename(path)}.${randomUUID()}.partial`);
  const refuse = (cause: unknown): never => {
    throw fileAccessError('the file cannot be written', path, cause);
  };
  const handle = await open(partial, 'wx').catch(refuse);
  try {
    try {
      await write(handle);
      await handle.sync();
    } finally {
      await handle.close();
    }
    signal?.throwIfAborted();
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    refuse(error);
  }
  await syncDirectory(dirname(path));
}

/**
 * Makes the rename itself survive a power cut, where the system can. The file is whole in either case, so that a
 * system that cannot open or sync a directory is no failure.
 */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r').catch(() => undefined);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}
