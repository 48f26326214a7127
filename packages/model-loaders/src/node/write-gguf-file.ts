import { InvalidArgumentError } from '@lbs/format';
import { type GgufTensorSpec, serializeGgufHeader } from '../gguf/gguf-serialize.js';
import type { GgufTypedMetadata } from '../gguf/gguf-typed-value.js';
import type { CancelOptions } from '../sources/random-access-source.js';
import { writeAtomically } from './atomic-file.js';
import { type BytesToWrite, piecesOf, writeAll } from './write-pieces.js';
import type { WriteProgress } from './write-safetensors.js';

/** A tensor to be written, and its bytes or a function that makes them, whole or in pieces, when their turn comes. */
export interface GgufTensorToWrite extends GgufTensorSpec {
  readonly bytes: BytesToWrite;
}

/** Cancelling and progress of a file that is written. */
export interface WriteGgufFileOptions extends CancelOptions {
  readonly onProgress?: ((progress: WriteProgress) => void) | undefined;
}

/**
 * Writes a GGUF file, one tensor, or one piece of it, in memory at a time, in the order of the list. The file appears
 * whole or not at all. Returns its size. Throws InvalidArgumentError when metadata and tensors cannot make a file or
 * bytes do not fit their shape, and FileAccessError.
 */
export async function writeGgufFile(
  path: string,
  metadata: GgufTypedMetadata,
  tensors: readonly GgufTensorToWrite[],
  { signal, onProgress }: WriteGgufFileOptions = {},
): Promise<number> {
  const header = serializeGgufHeader(metadata, tensors);
  await writeAtomically(
    path,
    async (handle) => {
      await writeAll(handle, header.bytes);
      let position = header.bytes.length;
      const padTo = async (end: number) => {
        await writeAll(handle, new Uint8Array(end - position));
        position = end;
      };
      for (const [i, { name, type, shape, bytes }] of tensors.entries()) {
        const { begin, end } = header.ranges[i]!;
        await padTo(begin);
        let length = 0;
        for await (const piece of piecesOf(bytes)) {
          signal?.throwIfAborted();
          length += piece.length;
          if (length <= end - begin) await writeAll(handle, piece);
        }
        if (length !== end - begin) {
          throw new InvalidArgumentError(
            `${length} bytes were given, but shape [${shape.join(', ')}] of ${type} has ${end - begin}`,
            { file: path, tensor: name },
          );
        }
        position = end;
        onProgress?.({ tensor: name, bytesWritten: end, bytesTotal: header.fileSize });
      }
      await padTo(header.fileSize);
    },
    { signal },
  );
  return header.fileSize;
}
