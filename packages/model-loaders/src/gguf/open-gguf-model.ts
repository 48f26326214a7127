import { checkLlamaTensors } from '../config/llama-tensors.js';
import { configJsonOf } from '../config/model-config.js';
import type { ModelSource } from '../model/model-source.js';
import { tensorOf } from '../model/tensor-store.js';
import type { CancelOptions, RandomAccessSource } from '../sources/random-access-source.js';
import { createTokenizer } from '../tokenizer/tokenizer.js';
import { openGguf } from './gguf.js';
import { parseGgufConfig } from './gguf-config.js';
import { ggufDequantizers } from './gguf-dequantize.js';
import { llamaTensorsOfGguf } from './gguf-llama-tensors.js';
import { tokenizerFilesOfGguf } from './gguf-tokenizer.js';

/**
 * Opens a GGUF file as a model and checks its tensors against its config; no weight is read. The source belongs
 * to the model from then on, and is closed when this throws. Throws MalformedFileError, UnsupportedError,
 * TensorMismatchError and FileAccessError.
 */
export async function openGgufModel(
  source: RandomAccessSource,
  options: CancelOptions = {},
): Promise<ModelSource> {
  try {
    return await modelOf(source, options);
  } catch (error) {
    await source.close?.();
    throw error;
  }
}

async function modelOf(source: RandomAccessSource, options: CancelOptions): Promise<ModelSource> {
  const file = source.name;
  const gguf = await openGguf(source, options);
  const config = parseGgufConfig(gguf, file);
  const store = llamaTensorsOfGguf(gguf, config, file);
  checkLlamaTensors({
    config,
    tensors: store.tensors,
    file,
    quantized: false,
    readable: ggufDequantizers.names,
  });
  const { tokenizerJson, tokenizerConfig } = tokenizerFilesOfGguf(gguf, file);
  const encodeJson = (json: unknown) => new TextEncoder().encode(`${JSON.stringify(json, null, 2)}\n`);
  return {
    name: file.replace(/^.*[/\\]/, '').replace(/\.gguf$/i, ''),
    config,
    configJson: configJsonOf(config),
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
    weightFiles: [source],
    fileBytes: source.size,
    close: async () => source.close?.(),
  };
}
