import type { FileHandle } from 'node:fs/promises';
import { InvalidArgumentError, type SafetensorsTensorSpec, serializeSafetensorsHeader } from '@lbs/format';
import type { CancelOptions } from '../random-access-source.js';
import { writeAtomically } from './atomic-file.js';

/** A tensor to be written, and its bytes or a function that makes them when their turn comes. */
export interface TensorToWrite extends SafetensorsTensorSpec {
  readonly bytes: Uint8Array | (() => Uint8Array | Promise<Uint8Array>);
}

/** How far a file has been written. */
export interface WriteProgress {
  /** The tensor that has just been written. */
  readonly tensor: string;
  readonly bytesWritten: number;
  readonly bytesTotal: number;
}

export interface WriteSafetensorsOptions extends CancelOptions {
  readonly onProgress?: ((progress: WriteProgress) => void) | undefined;
}

/**
 * Writes a safetensors file, one tensor in memory at a time. The file's order is that of
 * `serializeSafetensorsHeader` (wide dtypes first, then by name), and functions are called in it. The file appears
 * whole or not at all. Throws InvalidArgumentError when the tensors cannot make a file or bytes do not fit their
 * shape, and FileAccessError.
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>> = {},
  { signal, onProgress }: WriteSafetensorsOptions = {},
): Promise<void> {
  const header = serializeSafetensorsHeader(tensors, metadata);
  const bytesOf = new Map(tensors.map(({ name, bytes }) => [name, bytes]));
  await writeAtomically(
    path,
    async (handle) => {
      await writeAll(handle, header.bytes);
      for (const { name, dtype, shape, begin, end } of header.order) {
        signal?.throwIfAborted();
        const given = bytesOf.get(name)!;
        const bytes = typeof given === 'function' ? await given() : given;
        if (bytes.length !== end - begin) {
          throw new InvalidArgumentError(
            `${bytes.length} bytes were given, but shape [${shape.join(', ')}] of ${dtype} has ${end - begin}`,
            { file: path, tensor: name },
          );
        }
        await writeAll(handle, bytes);
        onProgress?.({ tensor: name, bytesWritten: header.bytes.length + end, bytesTotal: header.fileSize });
      }
    },
    { signal },
  );
}

/** A system call writes less than 2^31 bytes. */
const MAX_BYTES_PER_CALL = 2 ** 28;

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const length = Math.min(bytes.length - done, MAX_BYTES_PER_CALL);
    done += (await handle.write(bytes, done, length)).bytesWritten;
  }
}
