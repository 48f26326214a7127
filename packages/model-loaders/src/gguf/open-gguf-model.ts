import { UnsupportedError } from '@lbs/format';
import { architectureOf } from '../config/architectures.js';
import { checkTensors } from '../config/check-tensors.js';
import { parseConfig } from '../config/huggingface-config.js';
import type { ModelSource } from '../model/model-source.js';
import { tensorOf } from '../model/tensor-store.js';
import { type ModelDirectory, missing } from '../sources/model-directory.js';
import type { CancelOptions, RandomAccessSource } from '../sources/random-access-source.js';
import { createTokenizer } from '../tokenizer/tokenizer.js';
import { configJsonOfGguf } from './gguf-config.js';
import { ggufDequantizers } from './gguf-dequantize.js';
import { openGgufShards } from './gguf-shards.js';
import { tensorsOfGguf } from './gguf-tensors.js';
import { tokenizerFilesOfGguf } from './gguf-tokenizer.js';

/** Where the other files of a split model are found, and cancelling. */
export interface OpenGgufModelOptions extends CancelOptions {
  /** Holds the files beside the first. A split model cannot be opened without. */
  readonly directory?: ModelDirectory | undefined;
}

/**
 * Opens a GGUF file as a model, with the files that it is split into, and checks its tensors against its config; no
 * weight is read. The source belongs to the model from then on, and is closed when this throws. Throws
 * MalformedFileError, UnsupportedError, TensorMismatchError, FileAccessError, and InvalidArgumentError for another
 * shard than the first.
 */
export async function openGgufModel(
  source: RandomAccessSource,
  options: OpenGgufModelOptions = {},
): Promise<ModelSource> {
  const sources = [source];
  const close = async () => {
    for (const opened of sources.splice(0)) await opened.close?.();
  };
  try {
    return await modelOf(source, sources, close, options);
  } catch (error) {
    await close();
    throw error;
  }
}

async function modelOf(
  source: RandomAccessSource,
  sources: RandomAccessSource[],
  close: () => Promise<void>,
  { directory, signal }: OpenGgufModelOptions,
): Promise<ModelSource> {
  const file = source.name;
  const openShard = async (name: string) => {
    if (!directory) {
      throw new UnsupportedError('this is one of several files', {
        file,
        mend: 'Give the directory that holds all of them, or join them with `llama-gguf-split --merge`.',
      });
    }
    const shard = (await directory.open(name, { signal })) ?? missing(directory, name);
    sources.push(shard);
    return shard;
  };
  const gguf = await openGgufShards(source, openShard, { signal });
  const configJson = await configJsonOfGguf(gguf, file, { signal });
  const config = parseConfig(configJson, file);
  const store = tensorsOfGguf(gguf, architectureOf(config.architecture, file), config, file);
  checkTensors({
    config,
    tensors: store.tensors,
    file,
    quantized: false,
    readable: ggufDequantizers.names,
  });
  const { tokenizerJson, tokenizerConfig } = tokenizerFilesOfGguf(gguf, file);
  const encodeJson = (json: unknown) => new TextEncoder().encode(`${JSON.stringify(json, null, 2)}\n`);
  return {
    name: file.replace(/^.*[/\\]/, '').replace(/(-\d{5}-of-\d{5})?\.gguf$/i, ''),
    config,
    configJson,
    tokenizer: createTokenizer(tokenizerJson, tokenizerConfig, file),
    tokenizerFiles: new Map([
      ['tokenizer.json', encodeJson(tokenizerJson)],
      ['tokenizer_config.json', encodeJson(tokenizerConfig)],
    ]),
    tensorNames: [...store.tensors.keys()],
    has: (name) => store.tensors.has(name),
    tensorInfo: (name) => tensorOf(store.tensors, name, file),
    readBytes: store.readBytes,
    readPieces: store.readPieces,
    readFloat32: store.readFloat32,
    weightFiles: [...sources],
    fileBytes: sources.reduce((sum, { size }) => sum + size, 0),
    close,
  };
}
