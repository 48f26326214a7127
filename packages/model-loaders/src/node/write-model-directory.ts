import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { CancelOptions } from '../random-access-source.js';
import { writeAtomically } from './atomic-file.js';
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
  const refuse = (cause: unknown): never => {
    throw fileAccessError('the model cannot be written', path, cause);
  };
  await mkdir(partial, { recursive: true }).catch(refuse);
  try {
    const weights = join(partial, 'model.safetensors');
    await writeSafetensors(weights, tensors, { format: 'lbs' }, { signal });
    await writeSmallFile(join(partial, 'config.json'), `${JSON.stringify(config, undefined, 2)}\n`);
    for (const [name, bytes] of tokenizerFiles) await writeSmallFile(join(partial, basename(name)), bytes);
    const { size } = await stat(weights);
    signal?.throwIfAborted();
    if (replace) await replaceDirectory(target, partial, beside('old'));
    else await rename(partial, target);
    return size;
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    return refuse(error);
  }
}

function writeSmallFile(path: string, content: string | Uint8Array): Promise<void> {
  return writeAtomically(path, (handle) => handle.writeFile(content));
}

/** A directory cannot be renamed over another that has files in it, so that the old one steps aside first. */
async function replaceDirectory(target: string, replacement: string, aside: string): Promise<void> {
  const hadOld = await rename(target, aside).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
  try {
    await rename(replacement, target);
  } catch (error) {
    if (hadOld) await rename(aside, target);
    throw error;
  }
  if (hadOld) await rm(aside, { recursive: true });
}
