import { UnsupportedError } from '@lbs/format';
import { openGgufModel } from '../gguf/open-gguf-model.js';
import type { ModelDirectory } from '../sources/model-directory.js';
import { type CancelOptions, type RandomAccessSource, readExactly } from '../sources/random-access-source.js';
import type { ModelSource } from './model-source.js';
import { isPickle, isPickleName, pickleError } from './pickle-files.js';

/**
 * Opens a model that is one file: a GGUF file, whatever its name. The source belongs to the model from then on, and is
 * closed when this throws. Throws UnsupportedError for other files, and says what is wrong with them.
 */
export async function openModelFile(
  source: RandomAccessSource,
  options: CancelOptions & { readonly directory?: ModelDirectory | undefined } = {},
): Promise<ModelSource> {
  let firstBytes: Uint8Array;
  try {
    firstBytes = await readExactly(source, 0, Math.min(4, source.size), options);
    if (!isGguf(firstBytes) && !/\.gguf$/i.test(source.name)) throw refusal(source.name, firstBytes);
  } catch (error) {
    await source.close?.();
    throw error;
  }
  return openGgufModel(source, options);
}

function isGguf(firstBytes: Uint8Array): boolean {
  return new TextDecoder().decode(firstBytes) === 'GGUF';
}

function refusal(file: string, firstBytes: Uint8Array): UnsupportedError {
  if (isPickleName(file) || isPickle(firstBytes)) return pickleError(file);
  if (/\.safetensors$/i.test(file)) {
    return new UnsupportedError(
      'this is a file of weights without the config and the tokenizer of its model',
      {
        file,
        mend: 'Name the directory that it is in, with config.json and tokenizer.json.',
      },
    );
  }
  return new UnsupportedError('this is neither a directory nor a GGUF file', {
    file,
    mend: 'Name the directory that holds config.json and model.safetensors, or a GGUF file.',
  });
}
