import {
  checksumMetadata,
  crc32,
  formatChecksum,
  InvalidArgumentError,
  type SafetensorsTensorSpec,
  serializeSafetensorsHeader,
  tensorChecksum,
} from '@lbs/format';
import type { CancelOptions } from '../sources/random-access-source.js';
import { writeAtomically } from './atomic-file.js';
import { type BytesToWrite, piecesOf, writeAll } from './write-pieces.js';

/** A tensor to be written, and its bytes or a function that makes them, whole or in pieces, when their turn comes. */
export interface TensorToWrite extends SafetensorsTensorSpec {
  readonly bytes: BytesToWrite;
}

/** How far a file has been written. */
export interface WriteProgress {
  /** The tensor that has just been written. */
  readonly tensor: string;
  readonly bytesWritten: number;
  readonly bytesTotal: number;
}

/** Cancelling and progress of a file that is written. */
export interface WriteSafetensorsOptions extends CancelOptions {
  readonly onProgress?: ((progress: WriteProgress) => void) | undefined;
  /** Whether the metadata gets a checksum of every tensor, which `verifyModel` compares. Default false. */
  readonly checksums?: boolean | undefined;
}

/**
 * Writes a safetensors file, one tensor, or one piece of it, in memory at a time. The file's order is that of
 * `serializeSafetensorsHeader` (what fills whole 64 bytes first, then wide dtypes, then by name), and functions are called in it. The file appears
 * whole or not at all. Throws InvalidArgumentError when the tensors cannot make a file or bytes do not fit their
 * shape, and FileAccessError.
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>> = {},
  { signal, onProgress, checksums = false }: WriteSafetensorsOptions = {},
): Promise<void> {
  // The header comes first in the file, the checksums last in time: zeros of their length keep their place.
  const sums = new Map(checksums ? tensors.map(({ name }) => [name, tensorChecksum(none)]) : []);
  const serialize = () => serializeSafetensorsHeader(tensors, { ...metadata, ...checksumMetadata(sums) });
  const header = serialize();
  const bytesOf = new Map(tensors.map(({ name, bytes }) => [name, bytes]));
  await writeAtomically(
    path,
    async (handle) => {
      await writeAll(handle, header.bytes);
      for (const { name, dtype, shape, begin, end } of header.order) {
        signal?.throwIfAborted();
        let length = 0;
        let crc = 0;
        for await (const piece of piecesOf(bytesOf.get(name)!)) {
          signal?.throwIfAborted();
          length += piece.length;
          if (length > end - begin) continue;
          if (checksums) crc = crc32(piece, crc);
          await writeAll(handle, piece);
        }
        if (length !== end - begin) {
          throw new InvalidArgumentError(
            `${length} bytes were given, but shape [${shape.join(', ')}] of ${dtype} has ${end - begin}`,
            { file: path, tensor: name },
          );
        }
        if (checksums) sums.set(name, formatChecksum(crc));
        onProgress?.({ tensor: name, bytesWritten: header.bytes.length + end, bytesTotal: header.fileSize });
      }
      if (checksums) await writeAll(handle, serialize().bytes, 0);
    },
    { signal },
  );
}

const none = new Uint8Array();
