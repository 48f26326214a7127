import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { InvalidArgumentError } from '@lbs/format';
import { WEIGHTS_FILE, WEIGHTS_INDEX_FILE } from '../model/weight-files.js';
import type { CancelOptions } from '../sources/random-access-source.js';
import { writeAtomically } from './atomic-file.js';
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

/** How far the weights of a model have been written. */
export interface WriteModelProgress {
  /** The tensor that has just been written. */
  readonly tensor: string;
  /** Bytes of tensors, headers aside. */
  readonly bytesWritten: number;
  readonly bytesTotal: number;
}

/** How the files of a model are written. */
export interface ModelFilesOptions extends CancelOptions {
  /** Most bytes of tensors in one weight file. Default 5 GB, as the hub's tools split. */
  readonly maxShardBytes?: number | undefined;
  readonly onProgress?: ((progress: WriteModelProgress) => void) | undefined;
}

const defaultShardBytes = 5e9;

/**
 * Writes the files of a model into a directory that is there: weights with a checksum for every tensor, config and tokenizer. Returns the
 * bytes of all weight files. Throws as `writeModelDirectory`.
 */
export async function writeModelFiles(
  directory: string,
  { config, tensors, tokenizerFiles }: ModelToWrite,
  { signal, onProgress, maxShardBytes = defaultShardBytes }: ModelFilesOptions,
): Promise<number> {
  if (!(maxShardBytes > 0)) {
    throw new InvalidArgumentError(`maxShardBytes must be above 0, not ${maxShardBytes}`);
  }
  const shards = splitIntoShards(tensors, maxShardBytes);
  const size = await writeWeights(directory, shards, { signal, onProgress });
  await writeSmallFile(join(directory, 'config.json'), `${JSON.stringify(config, undefined, 2)}\n`);
  for (const [name, bytes] of tokenizerFiles) await writeSmallFile(join(directory, basename(name)), bytes);
  return size;
}

/** Returns the bytes of all weight files. */
async function writeWeights(
  directory: string,
  shards: readonly (readonly TensorToWrite[])[],
  { signal, onProgress }: ModelFilesOptions,
): Promise<number> {
  const digits = (count: number) => String(count).padStart(5, '0');
  const nameOf = (i: number) =>
    shards.length === 1 ? WEIGHTS_FILE : `model-${digits(i + 1)}-of-${digits(shards.length)}.safetensors`;
  const bytesOf = new Map(shards.flat().map((tensor) => [tensor.name, dataBytes(tensor)]));
  const bytesTotal = [...bytesOf.values()].reduce((sum, bytes) => sum + bytes, 0);
  let bytesWritten = 0;
  let bytes = 0;
  for (const [i, tensors] of shards.entries()) {
    const file = join(directory, nameOf(i));
    await writeSafetensors(
      file,
      tensors,
      { format: 'lbs' },
      {
        signal,
        checksums: true,
        onProgress({ tensor }) {
          bytesWritten += bytesOf.get(tensor)!;
          onProgress?.({ tensor, bytesWritten, bytesTotal });
        },
      },
    );
    bytes += (await stat(file)).size;
  }
  if (shards.length > 1) {
    const fileOf = shards.flatMap((shard, i) => shard.map(({ name }) => [name, nameOf(i)]));
    const index = { metadata: { total_size: bytesTotal }, weight_map: Object.fromEntries(fileOf) };
    await writeSmallFile(join(directory, WEIGHTS_INDEX_FILE), `${JSON.stringify(index, undefined, 2)}\n`);
  }
  return bytes;
}

function writeSmallFile(path: string, content: string | Uint8Array): Promise<void> {
  return writeAtomically(path, (handle) => handle.writeFile(content));
}
