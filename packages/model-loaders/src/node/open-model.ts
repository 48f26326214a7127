import { access, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { UnsupportedError } from '@lbs/format';
import { openGgufModel } from '../gguf/open-gguf-model.js';
import type { ModelSource } from '../model/model-source.js';
import { openModelDirectory } from '../model/open-model-directory.js';
import type { ModelDirectory } from '../sources/model-directory.js';
import type { CancelOptions } from '../sources/random-access-source.js';
import { fileAccessError } from './file-access-error.js';
import { openFileSource } from './file-source.js';

/** A directory on the disk, as openModelDirectory reads it. */
export function fileDirectory(path: string): ModelDirectory {
  return {
    name: path,
    async open(fileName) {
      const file = join(path, fileName);
      const exists = await access(file).then(
        () => true,
        (error: NodeJS.ErrnoException) => error.code !== 'ENOENT',
      );
      return exists ? openFileSource(file) : undefined;
    },
  };
}

/**
 * Opens a published model: a Hugging Face directory, or a .gguf file (of several the first). Its tensors are checked against its config;
 * no weight is read. Throws MalformedFileError, UnsupportedError, TensorMismatchError and FileAccessError.
 */
export async function openModel(path: string, options: CancelOptions = {}): Promise<ModelSource> {
  options.signal?.throwIfAborted();
  const stats = await stat(path).catch((cause) => {
    throw fileAccessError('the model cannot be opened', path, cause);
  });
  if (stats.isDirectory()) return openModelDirectory(fileDirectory(path), options);
  if (/\.gguf$/i.test(path)) {
    const directory = fileDirectory(dirname(path));
    return openGgufModel(await openFileSource(path), { ...options, directory });
  }
  throw new UnsupportedError('this is neither a directory nor a .gguf file', {
    file: path,
    mend: 'Name the directory that holds config.json and model.safetensors, or a GGUF file.',
  });
}
