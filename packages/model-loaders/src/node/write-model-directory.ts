import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { InvalidArgumentError } from '@lbs/format';
import type { CancelOptions } from '../random-access-source.js';
import { WEIGHTS_FILE, WEIGHTS_INDEX_FILE } from '../weight-files.js';
import { writeAtomically } from './atomic-file.js';
import { fileAccessError } from './file-access-error.js';
import { dataBytes, splitIntoShards } from './split-into-shards.js';
import { type TensorToWrite, writeSafetensors } from './write-safetensors.js';

/** A model in Hugging Face form. */
export interface ModelToWrite {
  /** The value of `config.json`. */
  readonly config: object;
  readonly tensors: readonly TensorToWrite[];
  /** Names and contents of the tokenizer's files. */
  readonly tokenizerFiles: ReadonlyMap<string, Uint8Array>;
}

/** How a model directory is written. */
export interface WriteModelOptions extends CancelOptions {
  /** Whether a directory of that name may be replaced. Default false. */
  readonly replace?: boolean;
  /** Most bytes of tensors in one weight file. Default 5 GB, as the hub's tools split. */
  readonly maxShardBytes?: number;
}

const defaultShardBytes = 5e9;

/**
 * Writes a model directory beside its target and renames it when it is whole: what stood there before stays until
 * then, and nothing is left behind when writing fails or is aborted. Weights that do not fit one file become shards
 * `model-00001-of-0000N.safetensors` with an index; the parts of a quantized matrix stay in one of them. Every tensor
 * gets a checksum. Returns the bytes of all weight files. Throws FileAccessError, and InvalidArgumentError where
 * tensors cannot make a file.
 */
export async function writeModelDirectory(
  path: string,
  { config, tensors, tokenizerFiles }: ModelToWrite,
  { signal, replace = false, maxShardBytes = defaultShardBytes }: WriteModelOptions = {},
): Promise<number> {
  if (!(maxShardBytes > 0)) {
    throw new InvalidArgumentError(`maxShardBytes must be above 0, not ${maxShardBytes}`, { file: path });
  }
  const target = resolve(path);
  const beside = (kind: string) => join(dirname(target), `.${basename(target)}.${randomUUID()}.${kind}`);
  const partial = beside('partial');
  const refuse = (cause: unknown): never => {
    throw fileAccessError('the model cannot be written', path, cause);
  };
  await mkdir(partial, { recursive: true }).catch(refuse);
  try {
    const size = await writeWeights(partial, splitIntoShards(tensors, maxShardBytes), { signal });
    await writeSmallFile(join(partial, 'config.json'), `${JSON.stringify(config, undefined, 2)}\n`);
    for (const [name, bytes] of tokenizerFiles) await writeSmallFile(join(partial, basename(name)), bytes);
    signal?.throwIfAborted();
    if (replace) await replaceDirectory(target, partial, beside('old'));
    else await rename(partial, target);
    return size;
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    return refuse(error);
  }
}

/** Returns the bytes of all weight files. */
async function writeWeights(
  directory: string,
  shards: readonly (readonly TensorToWrite[])[],
  options: CancelOptions,
): Promise<number> {
  const digits = (count: number) => String(count).padStart(5, '0');
  const nameOf = (i: number) =>
    shards.length === 1 ? WEIGHTS_FILE : `model-${digits(i + 1)}-of-${digits(shards.length)}.safetensors`;
  let bytes = 0;
  for (const [i, tensors] of shards.entries()) {
    const file = join(directory, nameOf(i));
    await writeSafetensors(file, tensors, { format: 'lbs' }, { ...options, checksums: true });
    bytes += (await stat(file)).size;
  }
  if (shards.length > 1) {
    const tensors = shards.flatMap((shard, i) => shard.map((tensor) => ({ tensor, file: nameOf(i) })));
    const index = {
      metadata: { total_size: tensors.reduce((sum, { tensor }) => sum + dataBytes(tensor), 0) },
      weight_map: Object.fromEntries(tensors.map(({ tensor, file }) => [tensor.name, file])),
    };
    await writeSmallFile(join(directory, WEIGHTS_INDEX_FILE), `${JSON.stringify(index, undefined, 2)}\n`);
  }
  return bytes;
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
