import { checkpointOf } from '../checkpoints/checkpoint-methods.js';
import { dequantizingStore } from '../checkpoints/dequantizing-store.js';
import { architectureOf, tensorShapes } from '../config/architectures.js';
import { checkTensors } from '../config/check-tensors.js';
import { isOwnQuantization, parseConfig } from '../config/huggingface-config.js';
import { type JsonObject, parseJsonObject } from '../config/json-file.js';
import { float32Dtypes } from '../safetensors/float32-from-safetensors.js';
import { openSafetensors, type SafetensorsReader } from '../safetensors/safetensors.js';
import { openShardedSafetensors } from '../safetensors/safetensors-shards.js';
import { type ModelDirectory, missing, pathOf, readFileOf } from '../sources/model-directory.js';
import type { CancelOptions, RandomAccessSource } from '../sources/random-access-source.js';
import { createTokenizer } from '../tokenizer/tokenizer.js';
import { viewCheckpoint } from './checkpoint-view.js';
import { COMPANION_FILES } from './companion-files.js';
import type { ModelSource } from './model-source.js';
import { tensorOf } from './tensor-store.js';
import { findWeightFiles } from './weight-files.js';

/** Published configs have some kilobytes; tokenizers up to 40 MB. */
const MAX_CONFIG_BYTES = 2 ** 24;
const MAX_TOKENIZER_BYTES = 2 ** 28;

/**
 * Opens a Hugging Face directory (config.json, tokenizer.json, model.safetensors or its shards) and checks the
 * tensors against the config; no weight is read. Throws MalformedFileError, UnsupportedError, TensorMismatchError
 * and FileAccessError; then nothing stays open.
 */
export async function openModelDirectory(
  directory: ModelDirectory,
  options: CancelOptions = {},
): Promise<ModelSource> {
  const opened: RandomAccessSource[] = [];
  const close = async () => {
    for (const source of opened.splice(0)) await source.close?.();
  };
  try {
    return await modelOf(directory, opened, close, options);
  } catch (error) {
    await close();
    throw error;
  }
}

async function modelOf(
  directory: ModelDirectory,
  opened: RandomAccessSource[],
  close: () => Promise<void>,
  options: CancelOptions,
): Promise<ModelSource> {
  const configBytes = await readNeeded(directory, 'config.json', MAX_CONFIG_BYTES, options);
  const configJson = parseJsonObject(configBytes, pathOf(directory, 'config.json'));
  const config = parseConfig(configJson, pathOf(directory, 'config.json'));
  const stored = await openWeights(directory, opened, options);
  const checkpoint = checkpointOf(configJson, pathOf(directory, 'config.json'));
  const architecture = architectureOf(config.architecture, directory.name);
  const shapes = tensorShapes(config);
  const isExpected = (original: string) => shapes.has(architecture.tensorName?.(original) ?? original);
  const dequantizing =
    checkpoint &&
    (await dequantizingStore(stored, checkpoint, { ...options, file: directory.name, isExpected }));
  const quantized = isOwnQuantization(configJson);
  const store = viewCheckpoint(dequantizing ?? stored, {
    architecture,
    config,
    file: directory.name,
    isUpright: (name) => quantized || dequantizing?.dequantized.has(name) === true,
  });
  checkTensors({
    config,
    tensors: store.tensors,
    file: directory.name,
    quantized,
    readable: float32Dtypes,
  });
  const tokenizerFiles = await readCompanions(directory, options);
  return {
    name: directory.name.replace(/[/\\]+$/, '').replace(/^.*[/\\]/, ''),
    config,
    configJson: checkpoint ? withoutQuantization(configJson) : configJson,
    tokenizer: tokenizerOf(directory, tokenizerFiles),
    tokenizerFiles,
    tensorNames: [...store.tensors.keys()],
    has: (name) => store.tensors.has(name),
    tensorInfo: (name) => tensorOf(store.tensors, name, directory.name),
    readBytes: store.readBytes,
    readPieces: store.readPieces,
    readFloat32: store.readFloat32,
    weightFiles: [...opened],
    fileBytes: opened.reduce((sum, { size }) => sum + size, 0),
    close,
  };
}

/** The matrices of a dequantized model are no longer stored as its config says. */
function withoutQuantization({ quantization_config: _, ...others }: JsonObject): JsonObject {
  return others;
}

async function openWeights(
  directory: ModelDirectory,
  opened: RandomAccessSource[],
  options: CancelOptions,
): Promise<SafetensorsReader> {
  const keep = (source: RandomAccessSource) => {
    opened.push(source);
    return source;
  };
  const weights = await findWeightFiles(directory, options);
  if ('whole' in weights) return openSafetensors(keep(weights.whole), options);
  const { shardByTensor, openShard, index } = weights;
  return openShardedSafetensors(shardByTensor, async (name) => keep(await openShard(name)), {
    ...options,
    file: index,
  });
}

async function readCompanions(directory: ModelDirectory, options: CancelOptions) {
  const files = new Map<string, Uint8Array>();
  for (const name of COMPANION_FILES) {
    const bytes = await readFileOf(directory, name, MAX_TOKENIZER_BYTES, options);
    if (bytes) files.set(name, bytes);
  }
  return files;
}

function tokenizerOf(directory: ModelDirectory, files: ReadonlyMap<string, Uint8Array>) {
  const parse = (name: string): JsonObject | undefined => {
    const bytes = files.get(name);
    return bytes && parseJsonObject(bytes, pathOf(directory, name));
  };
  const tokenizerJson = parse('tokenizer.json') ?? missing(directory, 'tokenizer.json');
  const template = files.get('chat_template.jinja');
  const config = {
    ...parse('tokenizer_config.json'),
    ...(template && { chat_template: new TextDecoder().decode(template) }),
  };
  return createTokenizer(tokenizerJson, config, pathOf(directory, 'tokenizer.json'));
}

async function readNeeded(directory: ModelDirectory, name: string, limit: number, options: CancelOptions) {
  return (await readFileOf(directory, name, limit, options)) ?? missing(directory, name);
}
