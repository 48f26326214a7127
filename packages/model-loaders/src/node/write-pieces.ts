import type { FileHandle } from 'node:fs/promises';

/** Bytes, or a function that makes them, whole or in pieces, when their turn comes. */
export type BytesToWrite = Uint8Array | (() => Uint8Array | Promise<Uint8Array> | AsyncIterable<Uint8Array>);

/** The bytes in pieces, made now. */
export async function* piecesOf(bytes: BytesToWrite): AsyncGenerator<Uint8Array, void> {
  const given = typeof bytes === 'function' ? await bytes() : bytes;
  if (given instanceof Uint8Array) yield given;
  else yield* given;
}

/** A system call writes less than 2^31 bytes. */
const MAX_BYTES_PER_CALL = 2 ** 28;

/** Writes at the end of what was written, or at `position`. */
export async function writeAll(handle: FileHandle, bytes: Uint8Array, position?: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const length = Math.min(bytes.length - done, MAX_BYTES_PER_CALL);
    const at = position === undefined ? null : position + done;
    done += (await handle.write(bytes, done, length, at)).bytesWritten;
  }
}
