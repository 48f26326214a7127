import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { CancelOptions } from '../random-access-source.js';
import { fileAccessError } from './file-access-error.js';
import { type TensorToWrite, writeSafetensors } from './write-safetensors.js';

/** A model in Hugging Face form. */
export interface ModelToWrite {
  /** The value of `config.json`. */
  readonly config: object;
  readonly tensors: readonly TensorToWrite[];
  /** Names and contents of the tokenizer's files. */
  readonly tokenizerFiles: ReadonlyMap<string, Uint8Array>;
}

export interface WriteModelOptions extends CancelOptions {
  /** Whether a directory of that name may be replaced. Default false. */
  readonly replace?: boolean;
}

/**
 * Writes a model directory beside its target and renames it when it is whole: what stood there before stays until
 * then, and nothing is left behind when writing fails or is aborted. Returns the bytes of `model.safetensors`.
 * Throws FileAccessError.
 */
export async function writeModelDirectory(
  path: string,
  { config, tensors, tokenizerFiles }: ModelToWrite,
  { signal, replace = false }: WriteModelOptions = {},
): Promise<number> {
  const target = resolve(path);
  const beside = (kind: string) => join(dirname(target), `.${basename(target)}.${randomUUID()}.${kind}`);
  const partial = beside('partial');
  try {
    await mkdir(partial, { recursive: true });
    const weights = join(partial, 'model.safetensors');
    await writeSafetensors(weights, tensors, { format: 'lbs' }, { signal });
    await writeFile(join(partial, 'config.json'), `${JSON.stringify(config, undefined, 2)}\n`);
    for (const [name, bytes] of tokenizerFiles) await writeFile(join(partial, basename(name)), bytes);
    const { size } = await stat(weights);
    signal?.throwIfAborted();
    if (replace) {
      const old = beside('old');
      const hadOld = await rename(target, old).then(
        () => true,
        () => false,
      );
      await rename(partial, target);
      if (hadOld) await rm(old, { recursive: true });
    } else {
      await rename(partial, target);
    }
    return size;
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw fileAccessError('the model cannot be written', path, error);
  }
}
