import { FileAccessError } from '@lbs/format';
import { parseJsonObject } from '../config/json-file.js';
import { parseShardIndex } from '../safetensors/safetensors-shards.js';
import { type ModelDirectory, missing, pathOf, readFileOf } from '../sources/model-directory.js';
import type { CancelOptions, RandomAccessSource } from '../sources/random-access-source.js';
import { PICKLE_FILES, pickleError } from './pickle-files.js';

/** Names as transformers and the hub know them. */
export const WEIGHTS_FILE = 'model.safetensors';
export const WEIGHTS_INDEX_FILE = 'model.safetensors.index.json';

/** An index of 500,000 tensors has 60 MB. */
const MAX_INDEX_BYTES = 2 ** 27;

/** The weights of a directory: one file, or shards and which of them holds each tensor. */
export type WeightFiles =
  | { readonly whole: RandomAccessSource }
  | {
      /** Path of the index. */
      readonly index: string;
      readonly shardByTensor: ReadonlyMap<string, string>;
      /** Opens a file that the index names. Throws FileAccessError where it is missing. */
      readonly openShard: (name: string) => Promise<RandomAccessSource>;
    };

/**
 * Finds a directory's weights. Throws MalformedFileError for a bad index, UnsupportedError where there are pickle files
 * only, and FileAccessError where there are none.
 */
export async function findWeightFiles(
  directory: ModelDirectory,
  options: CancelOptions,
): Promise<WeightFiles> {
  const whole = await directory.open(WEIGHTS_FILE, options);
  if (whole) return { whole };
  const indexBytes = await readFileOf(directory, WEIGHTS_INDEX_FILE, MAX_INDEX_BYTES, options);
  if (!indexBytes) {
    for (const name of PICKLE_FILES) {
      const pickle = await directory.open(name, options);
      await pickle?.close?.();
      if (pickle) throw pickleError(pathOf(directory, name));
    }
    throw new FileAccessError(`there is neither ${WEIGHTS_FILE} nor ${WEIGHTS_INDEX_FILE}`, {
      file: directory.name,
      mend: 'Check the path; weights in other formats have to be converted to safetensors.',
    });
  }
  const index = pathOf(directory, WEIGHTS_INDEX_FILE);
  return {
    index,
    shardByTensor: parseShardIndex(parseJsonObject(indexBytes, index), index),
    openShard: async (name) => (await directory.open(name, options)) ?? missing(directory, name),
  };
}
