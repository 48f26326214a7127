import { FileAccessError } from '@lbs/format';
import { readWhole } from '../config/json-file.js';
import type { CancelOptions, RandomAccessSource } from './random-access-source.js';

/** The files of a model: a directory on the disk, the files that a user chose, a repository. */
export interface ModelDirectory {
  /** For messages, and the last part as the model's name. */
  readonly name: string;
  /** Opens a file by its name, or gives undefined where there is none. */
  open(fileName: string, options?: CancelOptions): Promise<RandomAccessSource | undefined>;
}

/** Reads a file of at most `limit` bytes; undefined where there is none. */
export async function readFileOf(
  directory: ModelDirectory,
  name: string,
  limit: number,
  options: CancelOptions,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const source = await directory.open(name, options);
  if (!source) return undefined;
  try {
    return await readWhole(source, limit, options);
  } finally {
    await source.close?.();
  }
}

/** The path of a file, for messages. */
export function pathOf(directory: ModelDirectory, name: string): string {
  return `${directory.name.replace(/[/\\]+$/, '')}/${name}`;
}

/** Throws FileAccessError for a file that has to be there. */
export function missing(directory: ModelDirectory, name: string): never {
  throw new FileAccessError('the file is missing', {
    file: pathOf(directory, name),
    mend: 'Check the path, or download the model again.',
  });
}
