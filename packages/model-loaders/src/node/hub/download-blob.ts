import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { MalformedFileError } from '@lbs/format';
import type { RemoteFile } from '../../http/remote-file.js';
import type { HubFile } from '../../hub/hub-api.js';
import type { CancelOptions } from '../../sources/random-access-source.js';
import { syncDirectory } from '../atomic-file.js';
import { fileAccessError } from '../file-access-error.js';

/** Read at once of what an earlier download left. */
const PIECE_BYTES = 2 ** 20;

/** Where a download comes from and goes to. */
export interface BlobDownload extends CancelOptions {
  readonly remote: RemoteFile;
  readonly file: HubFile;
  /** Has the whole content, or does not exist. */
  readonly blob: string;
  /** Called with the bytes that are there, first with those that an earlier download left. */
  readonly onBytes: (bytes: number) => void;
}

/**
 * Downloads a content into `BLOB.incomplete`, goes on where an earlier download ended, compares the hash that the hub
 * named it with, and gives it its name when all of it is on the disk. What is there stays for the next attempt when
 * this fails or is killed. The caller holds the lock. Throws MalformedFileError for another content, and as RemoteFile.
 */
export async function downloadBlob(download: BlobDownload): Promise<void> {
  const { blob, file } = download;
  const partial = `${blob}.incomplete`;
  const refuse = (cause: unknown): never => {
    throw fileAccessError('the download cannot be stored', blob, cause);
  };
  for (;;) {
    const { isRight, isResumed } = await attempt(download, partial).catch(refuse);
    if (isRight) break;
    // What was left may be of a client that wrote something else; what came in one piece is judged at once.
    if (!isResumed) throw otherContent(file);
  }
  await rename(partial, blob).catch(refuse);
  await syncDirectory(dirname(blob));
}

/** Whether the hash is right, and whether a part was there before. A wrong content is deleted. */
async function attempt(
  { remote, file, onBytes, signal }: BlobDownload,
  partial: string,
): Promise<{ readonly isRight: boolean; readonly isResumed: boolean }> {
  const handle = await open(partial, 'a+');
  try {
    const hash = hashFor(file);
    let at = (await handle.stat()).size;
    if (at > file.size) {
      await handle.truncate(0);
      at = 0;
    }
    const isResumed = at > 0;
    await hashPart(handle, at, hash, signal);
    onBytes(at);
    for await (const piece of remote.bytes(at, file.size, { skip: true, signal })) {
      await writeWhole(handle, piece);
      hash.update(piece);
      at += piece.length;
      onBytes(at);
    }
    const isRight = hash.digest('hex') === (file.sha256 ?? file.blobId);
    if (isRight) await handle.sync();
    else await rm(partial, { force: true });
    return { isRight, isResumed };
  } finally {
    await handle.close();
  }
}

/** Large files are named by SHA-256 of their content, others as git names them. */
function hashFor({ sha256, blobId, size }: HubFile): Hash {
  if (sha256 !== undefined) return createHash('sha256');
  return createHash(blobId.length === 64 ? 'sha256' : 'sha1').update(`blob ${size}\0`);
}

async function hashPart(
  handle: FileHandle,
  size: number,
  hash: Hash,
  signal: AbortSignal | undefined,
): Promise<void> {
  const buffer = new Uint8Array(Math.min(PIECE_BYTES, size));
  for (let at = 0; at < size; ) {
    signal?.throwIfAborted();
    const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, size - at), at);
    if (bytesRead === 0) return;
    hash.update(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
}

async function writeWhole(handle: FileHandle, piece: Uint8Array): Promise<void> {
  for (let done = 0; done < piece.length; ) {
    done += (await handle.write(piece, done, piece.length - done)).bytesWritten;
  }
}

function otherContent(file: HubFile): MalformedFileError {
  return new MalformedFileError(
    `the downloaded content has another hash than ${file.sha256 ?? file.blobId}`,
    {
      file: file.path,
      mend: 'Download it again; a proxy may have changed it.',
    },
  );
}
