import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { fileAccessError } from './file-access-error.js';
import { replaceDirectory } from './replace-directory.js';
import { type ModelFilesOptions, type ModelToWrite, writeModelFiles } from './write-model-files.js';

/** How a model directory is written. */
export interface WriteModelOptions extends ModelFilesOptions {
  /** Whether a directory of that name may be replaced. Default false. */
  readonly replace?: boolean;
}

/**
 * Writes a model directory beside its target and renames it when it is whole: what stood there before stays until
 * then, and nothing is left behind when writing fails or is aborted. Weights that do not fit one file become shards
 * `model-00001-of-0000N.safetensors` with an index; the parts of a quantized matrix stay in one of them. Every tensor
 * gets a checksum. Returns the bytes of all weight files. Throws FileAccessError, and InvalidArgumentError where
 * tensors cannot make a file.
 */
export async function writeModelDirectory(
  path: string,
  model: ModelToWrite,
  { replace = false, ...options }: WriteModelOptions = {},
): Promise<number> {
  const target = resolve(path);
  const beside = (kind: string) => join(dirname(target), `.${basename(target)}.${randomUUID()}.${kind}`);
  const partial = beside('partial');
  const refuse = (cause: unknown): never => {
    throw fileAccessError('the model cannot be written', path, cause);
  };
  await mkdir(partial, { recursive: true }).catch(refuse);
  try {
    const size = await writeModelFiles(partial, model, options);
    options.signal?.throwIfAborted();
    if (replace) {
      const aside = beside('old');
      await replaceDirectory(target, partial, aside);
      await rm(aside, { recursive: true, force: true });
    } else {
      await rename(partial, target);
    }
    return size;
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    return refuse(error);
  }
}
