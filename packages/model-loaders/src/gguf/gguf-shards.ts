import { InvalidArgumentError, MalformedFileError, UnsupportedError } from '@lbs/format';
import { describeValue } from '../config/json-file.js';
import { tensorOf } from '../model/tensor-store.js';
import type { CancelOptions, RandomAccessSource } from '../sources/random-access-source.js';
import { type GgufReader, openGguf } from './gguf.js';
import { MAX_SHARDS } from './gguf-limits.js';
import { ggufShardNames } from './gguf-shard-names.js';

/** Opens a file beside the first shard. Throws FileAccessError where it is missing. */
export type OpenGgufShard = (fileName: string) => Promise<RandomAccessSource>;

/**
 * Opens a GGUF model that may be split over several files, from its first file; the others are those that
 * `openShard` gives for their names (`model-00002-of-00003.gguf`), each asked for once. Metadata are those of the first
 * file, tensors are in the order of the files. The sources stay the caller's. Throws as `openGguf`, and
 * MalformedFileError where the files do not belong together, UnsupportedError for a first file that is not named as one of
 * several, InvalidArgumentError for another file than the first.
 */
export async function openGgufShards(
  first: RandomAccessSource,
  openShard: OpenGgufShard,
  options: CancelOptions = {},
): Promise<GgufReader> {
  const reader = await openGguf(first, options);
  if (!isSplit(reader)) return reader;
  const names = checkFirst(reader, first.name);
  const readers = [reader];
  for (const [i, name] of names.entries()) {
    if (i === 0) continue;
    const source = await openShard(name);
    const shard = await openGguf(source, options);
    checkShard(shard, i, reader, source.name);
    readers.push(shard);
  }
  return joined(readers, names, first.name);
}

/** Whether the model of this file goes on in other files. */
function isSplit({ metadata }: Pick<GgufReader, 'metadata'>): boolean {
  return (metadata.get('split.count') ?? 0) !== 0 && metadata.get('split.count') !== 1;
}

/** Checks what the first file says about the others, and gives the names of all. */
function checkFirst({ metadata }: GgufReader, file: string): readonly string[] {
  const count = metadata.get('split.count');
  const valid = typeof count === 'number' && Number.isInteger(count) && count > 1 && count <= MAX_SHARDS;
  if (!valid) {
    throw new MalformedFileError(`split.count is ${describeValue(count)}, not a number up to ${MAX_SHARDS}`, {
      file,
      mend: 'Download the file again.',
    });
  }
  const names = ggufShardNames(baseName(file));
  if (!names) {
    throw new UnsupportedError(`this is one of ${count} files, but it is not named as one of them`, {
      file,
      mend: `Name the files NAME-00001-of-${String(count).padStart(5, '0')}.gguf and so on, as they were published.`,
    });
  }
  if (names.length !== count) {
    throw new MalformedFileError(`the name says ${names.length} files, split.count ${count}`, {
      file,
      mend: 'Give the file the name under which it was published, or download it again.',
    });
  }
  const number = metadata.get('split.no');
  if (number !== 0) {
    throw new InvalidArgumentError(
      `this is not the first of ${count} files: split.no is ${describeValue(number)}`,
      {
        file,
        mend: `Open ${names[0]}.`,
      },
    );
  }
  return names;
}

/** Checks that shard `i` belongs to the model of the first one. */
function checkShard(shard: GgufReader, i: number, first: GgufReader, file: string): void {
  const expected: readonly (readonly [key: string, value: unknown])[] = [
    ['split.count', first.metadata.get('split.count')],
    ['split.no', i],
    ['split.tensors.count', first.metadata.get('split.tensors.count')],
    // Not every tool repeats it.
    [
      'general.architecture',
      shard.metadata.has('general.architecture') && first.metadata.get('general.architecture'),
    ],
  ];
  for (const [key, value] of expected) {
    const found = shard.metadata.get(key);
    if (value === false || found === value) continue;
    throw new MalformedFileError(
      `${key} is ${describeValue(found)}, but shard ${i + 1} of this model has ${describeValue(value)}`,
      { file, mend: 'Download all files of the model again; they may come from two versions.' },
    );
  }
}

function joined(readers: readonly GgufReader[], names: readonly string[], file: string): GgufReader {
  const [first] = readers as [GgufReader];
  const shardOf = new Map<string, number>();
  for (const [i, { tensors }] of readers.entries()) {
    for (const name of tensors.keys()) {
      const other = shardOf.get(name);
      if (other !== undefined) {
        throw new MalformedFileError(`${names[other]} and ${names[i]} both have this tensor`, {
          file,
          tensor: name,
          mend: 'Download all files of the model again; they may come from two versions.',
        });
      }
      shardOf.set(name, i);
    }
  }
  const count = first.metadata.get('split.tensors.count');
  if (count !== undefined && count !== shardOf.size) {
    throw new MalformedFileError(
      `the files hold ${shardOf.size} tensors, but split.tensors.count is ${describeValue(count)}`,
      { file, mend: 'Download all files of the model again; they may come from two versions.' },
    );
  }
  const readerOf = (name: string) => readers[tensorOf(shardOf, name, file)]!;
  return {
    version: first.version,
    metadata: first.metadata,
    tensors: new Map(readers.flatMap(({ tensors }) => [...tensors])),
    readBytes: async (name, options) => readerOf(name).readBytes(name, options),
    readPieces: (name, options) => readerOf(name).readPieces(name, options),
    readFloat32: async (name, options) => readerOf(name).readFloat32(name, options),
  };
}

function baseName(path: string): string {
  return path.replace(/^.*[/\\]/s, '');
}
