import { MalformedFileError } from '@lbs/format';
import { describeValue, isJsonObject, type JsonObject } from '../config/json-file.js';
import { tensorOf } from '../model/tensor-store.js';
import type { CancelOptions, RandomAccessSource } from '../sources/random-access-source.js';
import { openSafetensors, type SafetensorsReader } from './safetensors.js';

/** The largest published index has some hundred shards; every shard costs an open file. */
const MAX_SHARDS = 10_000;

/** An index may name files beside itself only: a path could lead anywhere on the disk. */
const SHARD_NAME = /^[\w.-]+\.safetensors$/;

/** Which file holds each tensor, from `model.safetensors.index.json`. Throws MalformedFileError. */
export function parseShardIndex(index: JsonObject, file: string): ReadonlyMap<string, string> {
  const weightMap = index['weight_map'];
  const mend = 'Check what wrote the index.';
  if (!isJsonObject(weightMap)) throw new MalformedFileError('weight_map is not an object', { file, mend });
  const shardByTensor = new Map<string, string>();
  for (const [tensor, shard] of Object.entries(weightMap)) {
    if (typeof shard !== 'string' || !SHARD_NAME.test(shard)) {
      const problem = `weight_map gives ${describeValue(shard)}, not the name of a safetensors file`;
      throw new MalformedFileError(problem, { file, tensor, mend });
    }
    shardByTensor.set(tensor, shard);
  }
  const count = new Set(shardByTensor.values()).size;
  if (count > MAX_SHARDS) {
    throw new MalformedFileError(`${count} shards are above the limit of ${MAX_SHARDS}`, { file, mend });
  }
  return shardByTensor;
}

/**
 * Opens the shards of a model as one. `openShard` is called once with each file name of the index. Tensors are
 * ordered by shard, then as in the file; those that the index does not name are left out. Throws MalformedFileError when a
 * shard lacks a tensor of the index, and when two shards have a tensor: they are not of one model then.
 */
export async function openShardedSafetensors(
  shardByTensor: ReadonlyMap<string, string>,
  openShard: (name: string) => Promise<RandomAccessSource>,
  options: CancelOptions & { readonly file: string },
): Promise<SafetensorsReader> {
  const readers = new Map<string, SafetensorsReader>();
  for (const shard of [...new Set(shardByTensor.values())].sort()) {
    readers.set(shard, await openSafetensors(await openShard(shard), options));
  }
  for (const [tensor, shard] of shardByTensor) {
    if (readers.get(shard)!.tensors.has(tensor)) continue;
    throw new MalformedFileError(`${shard} lacks this tensor`, {
      file: options.file,
      tensor,
      mend: 'Download the index and its shards again; they may come from two versions.',
    });
  }
  const owners = new Map<string, string>();
  for (const [shard, { tensors }] of readers) {
    for (const tensor of tensors.keys()) {
      const other = owners.get(tensor);
      if (other !== undefined) throw inTwoShards(tensor, other, shard, options.file);
      owners.set(tensor, shard);
    }
  }
  const found = [...readers].flatMap(([shard, { tensors }]) =>
    [...tensors].filter(([name]) => shardByTensor.get(name) === shard),
  );
  const tensors = new Map(found);
  const readerOf = (name: string) => readers.get(tensorOf(shardByTensor, name, options.file))!;
  return {
    tensors,
    metadata: new Map([...readers.values()].flatMap(({ metadata }) => [...metadata])),
    readBytes: async (name, readOptions) => readerOf(name).readBytes(name, readOptions),
    readPieces: (name, readOptions) => readerOf(name).readPieces(name, readOptions),
    readFloat32: async (name, readOptions) => readerOf(name).readFloat32(name, readOptions),
  };
}

function inTwoShards(tensor: string, first: string, second: string, file: string): MalformedFileError {
  return new MalformedFileError(`both ${first} and ${second} have this tensor`, {
    file,
    tensor,
    mend: 'Download the index and its shards again; they may come from two versions.',
  });
}
