import { open } from 'node:fs/promises';
import { FileAccessError } from '@lbs/format';
import { assertRange, type RandomAccessSource } from '../sources/random-access-source.js';
import { fileAccessError } from './file-access-error.js';

/** A system call reads less than 2^31 bytes; and between two of them a signal can cancel. */
const MAX_BYTES_PER_CALL = 2 ** 28;

/** A source that holds a file open. */
export interface FileSource extends RandomAccessSource {
  close(): Promise<void>;
}

/** Opens a file for random access. Throws FileAccessError. */
export async function openFileSource(path: string): Promise<FileSource> {
  const handle = await open(path, 'r').catch((cause) => {
    throw fileAccessError('the file cannot be opened', path, cause);
  });
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) {
      throw new FileAccessError('this is not a file', { file: path, mend: 'Name a file, not a directory.' });
    }
    return {
      name: path,
      size: stat.size,
      async read(offset, length, { signal } = {}) {
        assertRange(path, stat.size, offset, length);
        const bytes = new Uint8Array(length);
        for (let done = 0; done < length; ) {
          signal?.throwIfAborted();
          const { bytesRead } = await handle
            .read(bytes, done, Math.min(length - done, MAX_BYTES_PER_CALL), offset + done)
            .catch((cause) => {
              throw fileAccessError(`${length} bytes at ${offset} cannot be read`, path, cause);
            });
          if (bytesRead === 0) {
            throw new FileAccessError(
              `the file ends at ${offset + done}; it had ${stat.size} bytes when it was opened`,
              {
                file: path,
                mend: 'Open it again when nothing writes to it.',
              },
            );
          }
          done += bytesRead;
        }
        return bytes;
      },
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}
