import { createHash } from 'node:crypto';
import {
  type CancelOptions,
  type RandomAccessSource,
  readInPieces,
} from '../sources/random-access-source.js';

/** SHA-256 of a whole file in hexadecimal, read in pieces. Throws FileAccessError. */
export async function hashSource(
  source: RandomAccessSource,
  { signal }: CancelOptions = {},
): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of readInPieces(source, 0, source.size, { signal })) hash.update(piece);
  return hash.digest('hex');
}
