import { FileAccessError, InvalidArgumentError } from '@lbs/format';

/** Options of everything that can be cancelled. */
export interface CancelOptions {
  /** When aborted, the promise is rejected with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Bytes that can be read from any offset: a file, a Blob, or whatever else implements this. */
export interface RandomAccessSource {
  /** For messages: a path, a URL, a file name. */
  readonly name: string;
  /** In bytes. May be above 2^31. */
  readonly size: number;
  /**
   * Reads exactly `length` bytes into a new buffer that belongs to the caller. Throws InvalidArgumentError when
   * the range is not inside the source, and FileAccessError when the bytes cannot be read.
   */
  read(offset: number, length: number, options?: CancelOptions): Promise<Uint8Array<ArrayBuffer>>;
  /** Gives back what the source holds open. */
  close?(): Promise<void>;
}

/** Reads a Blob, such as a File that a user chose in a browser. */
export function blobSource(blob: Blob, name: string): RandomAccessSource {
  return {
    name,
    size: blob.size,
    async read(offset, length, { signal } = {}) {
      signal?.throwIfAborted();
      assertRange(name, blob.size, offset, length);
      let buffer: ArrayBuffer;
      try {
        buffer = await blob.slice(offset, offset + length).arrayBuffer();
      } catch (cause) {
        throw new FileAccessError(`${length} bytes at ${offset} cannot be read`, {
          file: name,
          mend: 'Choose the file again; it may have been moved or changed.',
          cause,
        });
      }
      signal?.throwIfAborted();
      return new Uint8Array(buffer);
    },
  };
}

/**
 * Reads from a source that somebody else wrote: the result has the whole of its buffer, so that it can be viewed as
 * numbers of any width. Throws FileAccessError when the source gives another number of bytes.
 */
export async function readExactly(
  source: RandomAccessSource,
  offset: number,
  length: number,
  options?: CancelOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await source.read(offset, length, options);
  if (bytes.length !== length) {
    throw new FileAccessError(`${bytes.length} bytes came for ${length} at ${offset}`, {
      file: source.name,
      mend: 'Open it again when nothing writes to it.',
    });
  }
  return bytes.buffer.byteLength === length ? bytes : bytes.slice();
}

/** Read at once where a whole would be large: enough for the disk, small against any memory. */
const PIECE_BYTES = 2 ** 23;

/** Reads the bytes from `begin` to `end` in order, in pieces of at most 8 MiB. Throws FileAccessError. */
export async function* readInPieces(
  source: RandomAccessSource,
  begin: number,
  end: number,
  options?: CancelOptions,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  for (let at = begin; at < end; at += PIECE_BYTES) {
    yield await readExactly(source, at, Math.min(PIECE_BYTES, end - at), options);
  }
}

/** Throws InvalidArgumentError unless the range lies inside a source of `size` bytes. */
export function assertRange(file: string, size: number, offset: number, length: number): void {
  const valid = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (valid && offset + length <= size) return;
  throw new InvalidArgumentError(`${length} bytes at ${offset} are not inside of ${size} bytes`, { file });
}
