import { createHash } from 'node:crypto';
import { type CancelOptions, type RandomAccessSource, readExactly } from '../random-access-source.js';

/** Read at once: large enough for the disk, small against any memory. */
const CHUNK_BYTES = 2 ** 23;

/** SHA-256 of a whole file in hexadecimal, read in pieces. Throws FileAccessError. */
export async function hashSource(
  source: RandomAccessSource,
  { signal }: CancelOptions = {},
): Promise<string> {
  const hash = createHash('sha256');
  for (let at = 0; at < source.size; at += CHUNK_BYTES) {
    hash.update(await readExactly(source, at, Math.min(CHUNK_BYTES, source.size - at), { signal }));
  }
  return hash.digest('hex');
}
