import { InvalidArgumentError, UnsupportedError } from '@lbs/format';
import { tensorShapes } from '../config/architectures.js';
import { parseJsonObject } from '../config/json-file.js';
import { type DenseWeights, denseWeightsOf } from '../model/dense-weights.js';
import type { ModelSource } from '../model/model-source.js';
import type { CancelOptions } from '../sources/random-access-source.js';
import { type GgufArchitecture, llamaExport } from './gguf-llama-export.js';
import { ggufQuantizers } from './gguf-quantize.js';
import type { GgufQuantizer } from './gguf-quantizer.js';
import type { GgufTensorSpec } from './gguf-serialize.js';
import { ggufTokenizerMetadata } from './gguf-tokenizer-metadata.js';
import { type GgufTypedMetadata, typed } from './gguf-typed-value.js';
import { ggufTypeNamed } from './gguf-types.js';

/** A tensor of a model that is written as GGUF. */
export interface GgufModelTensor extends GgufTensorSpec {
  /** Makes the bytes, in pieces, when their turn comes. */
  readonly bytes: () => AsyncIterable<Uint8Array<ArrayBuffer>>;
}

/** A model as a GGUF file has it. */
export interface GgufModel {
  readonly metadata: GgufTypedMetadata;
  readonly tensors: readonly GgufModelTensor[];
  /** What is lost, or other than it was asked for: sentences for the user. */
  readonly warnings: readonly string[];
}

/** How a model is written as GGUF. */
export interface GgufModelOptions extends CancelOptions {
  /**
   * Type of the matrices, one of `ggufQuantizers`. Vectors are F32. Of types below 8 bits the output matrix (where it is tied the
   * embedding) is Q8_0, as it suffers most from rounding. A matrix whose rows are no whole blocks is F16.
   */
  readonly type: string;
}

/** What can be written. */
const architectures: readonly GgufArchitecture[] = [llamaExport];

/** GGML_QNT_VERSION of ggml.h. */
const QUANTIZATION_VERSION = 2;

/** Elements that are read and rounded at a time. */
const PIECE_ELEMENTS = 2 ** 20;

/**
 * The GGUF file of a model: names, row order, metadata and tokenizer as llama.cpp has them. Matrices that the model has in that type are
 * copied; those that it has quantized in another are rounded a second time, and a warning says so. Nothing is read until
 * the bytes are asked for. Throws UnsupportedError for architectures and tokenizers that cannot be written, and
 * InvalidArgumentError for a type that is not known; the bytes throw InvalidArgumentError for a weight that is no finite number, which no block holds.
 */
export function ggufOfModel(model: ModelSource, { type, signal }: GgufModelOptions): GgufModel {
  const quantizer = ggufQuantizers.get(type);
  const architecture = architectureOf(model);
  const weights = denseWeightsOf(model);
  const tensors = weightsOf(model, architecture).map(({ name, ggufName, shape }) => {
    const chosen = typeOf(name, shape, quantizer, model);
    const order = architecture.rowOrder(name, shape[0] ?? 1, model.config);
    const copied = model.has(name) && model.tensorInfo(name).dtype === chosen.name;
    const bytes = () =>
      copied
        ? copyOf(model, name, shape, order, { signal })
        : roundedBytes(model, weights, name, shape, chosen, order, { signal });
    return { name: ggufName, source: name, type: chosen.name, shape, copied, bytes };
  });
  return {
    metadata: metadataOf(model, architecture, quantizer),
    tensors: tensors.map(({ name, type: typeName, shape, bytes }) => ({
      name,
      type: typeName,
      shape,
      bytes,
    })),
    warnings: [
      ...requantizationWarnings(
        model,
        weights,
        tensors.filter(({ copied }) => !copied),
        quantizer,
      ),
      ...blockWarnings(
        tensors.filter(({ shape }) => shape.length > 1 && shape.at(-1)! % quantizer.blockSize !== 0),
        quantizer,
      ),
    ],
  };
}

function architectureOf({ config, name }: ModelSource): GgufArchitecture {
  const architecture = architectures.find((known) => known.name === config.architecture);
  if (architecture && config.ropeScaling) {
    throw new UnsupportedError('models with scaled rotary embeddings cannot be written as GGUF', {
      file: name,
      mend: 'Convert the model with convert_hf_to_gguf.py of llama.cpp.',
    });
  }
  if (architecture) return architecture;
  throw new UnsupportedError(`models of the architecture ${config.architecture} cannot be written as GGUF`, {
    file: name,
    mend: `Known: ${architectures.map((known) => known.name).join(', ')}. Convert others with convert_hf_to_gguf.py of llama.cpp.`,
  });
}

function weightsOf(model: ModelSource, architecture: GgufArchitecture) {
  const names = architecture.tensorNames(model.config);
  const shapes = tensorShapes(model.config);
  for (const name of shapes.keys()) {
    if (names.has(name)) continue;
    throw new UnsupportedError('GGUF has no name for this tensor', {
      file: model.name,
      tensor: name,
      mend: 'Convert the model with convert_hf_to_gguf.py of llama.cpp.',
    });
  }
  return [...names].flatMap(([name, ggufName]) => {
    const shape = shapes.get(name);
    return shape ? [{ name, ggufName, shape }] : [];
  });
}

/** The type in which a weight is written. */
function typeOf(
  name: string,
  shape: readonly number[],
  asked: GgufQuantizer,
  { config }: ModelSource,
): GgufQuantizer {
  if (shape.length < 2) return ggufQuantizers.get('F32');
  if (shape.at(-1)! % asked.blockSize !== 0) return ggufQuantizers.get('F16');
  const isOutput = name === (config.tiedEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight');
  return isOutput && bitsPerElement(asked) < 8 ? ggufQuantizers.get('Q8_0') : asked;
}

function bitsPerElement({ blockSize, bytesPerBlock }: GgufQuantizer): number {
  return (8 * bytesPerBlock) / blockSize;
}

function metadataOf(
  model: ModelSource,
  architecture: GgufArchitecture,
  { fileType, blockSize }: GgufQuantizer,
): GgufTypedMetadata {
  const fileOf = (name: string) => {
    const bytes = model.tokenizerFiles.get(name);
    return bytes && parseJsonObject(bytes, `${model.name}/${name}`);
  };
  const chatTemplate = model.tokenizerFiles.get('chat_template.jinja');
  const tokenizerConfig = {
    ...(chatTemplate && { chat_template: new TextDecoder().decode(chatTemplate) }),
    ...fileOf('tokenizer_config.json'),
  };
  const tokenizer = { tokenizerJson: fileOf('tokenizer.json') ?? {}, tokenizerConfig };
  const ids = [
    ['bos', model.config.beginningOfSequence],
    ['eos', model.config.endOfSequence],
  ] as const;
  return new Map([
    ['general.architecture', typed.string(architecture.name)],
    ['general.type', typed.string('model')],
    ['general.name', typed.string(model.name)],
    ['general.file_type', typed.uint32(fileType)],
    ...(blockSize > 1 ? [['general.quantization_version', typed.uint32(QUANTIZATION_VERSION)] as const] : []),
    ...architecture.metadata(model.config),
    // The tokenizer's own, where it names them, come behind these.
    ...ids.flatMap(([name, id]) =>
      id === undefined ? [] : [[`tokenizer.ggml.${name}_token_id`, typed.uint32(id)] as const],
    ),
    ...ggufTokenizerMetadata(tokenizer, model.tokenizer, model.config.vocabularySize, model.name),
  ]);
}

async function* copyOf(
  model: ModelSource,
  name: string,
  shape: readonly number[],
  order: Uint32Array | undefined,
  options: CancelOptions,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  if (order) yield reordered(await model.readBytes(name, options), shape[0]!, order);
  else yield* model.readPieces(name, options);
}

async function* roundedBytes(
  model: ModelSource,
  weights: DenseWeights,
  name: string,
  shape: readonly number[],
  quantizer: GgufQuantizer,
  order: Uint32Array | undefined,
  options: CancelOptions,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  // Rows that move can come from anywhere: such a matrix is one piece.
  const elements = order ? Number.POSITIVE_INFINITY : PIECE_ELEMENTS;
  for await (const values of weights.readPieces(name, shape, elements, options)) {
    options.signal?.throwIfAborted();
    const other = quantizer.blockSize === 1 ? -1 : values.findIndex((value) => !Number.isFinite(value));
    if (other >= 0) {
      throw new InvalidArgumentError(`a weight is ${values[other]}`, {
        file: model.name,
        tensor: name,
        mend: 'Blocks hold finite numbers only: choose F32, F16 or BF16, or check where the model comes from.',
      });
    }
    const bytes = quantizer.quantize(values);
    yield order ? reordered(bytes, shape[0]!, order) : bytes;
  }
}

/** Whole rows move, whatever their type. */
function reordered(
  bytes: Uint8Array<ArrayBuffer>,
  rows: number,
  order: Uint32Array,
): Uint8Array<ArrayBuffer> {
  const target = new Uint8Array(bytes.length);
  const rowBytes = bytes.length / rows;
  for (const [to, from] of order.entries()) {
    target.set(bytes.subarray(from * rowBytes, (from + 1) * rowBytes), to * rowBytes);
  }
  return target;
}

type Written = { readonly source: string; readonly type: string };

function requantizationWarnings(
  model: ModelSource,
  weights: DenseWeights,
  rounded: readonly Written[],
  { name: asked, blockSize }: GgufQuantizer,
): readonly string[] {
  if (blockSize === 1) return [];
  const formats = new Map<string, number>();
  for (const { source } of rounded) {
    const stored = weights.formatOf(source) ?? model.tensorInfo(source).dtype;
    const isQuantized = weights.formatOf(source) !== undefined || (ggufTypeNamed(stored)?.blockSize ?? 1) > 1;
    if (isQuantized) formats.set(stored, (formats.get(stored) ?? 0) + 1);
  }
  return [...formats].map(
    ([format, count]) =>
      `${count} matrices are quantized as ${format} already and are rounded again to ${asked}, so that both errors add up: for a better file export the original model.`,
  );
}

function blockWarnings(uneven: readonly Written[], { name, blockSize }: GgufQuantizer): readonly string[] {
  if (uneven.length === 0) return [];
  return [
    `${uneven.length} matrices such as ${uneven[0]!.source} are F16, because their rows are no whole blocks of ${blockSize} as ${name} needs.`,
  ];
}
