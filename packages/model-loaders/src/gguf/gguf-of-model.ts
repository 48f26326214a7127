import { UnsupportedError } from '@lbs/format';
import type { Architecture } from '../config/architecture.js';
import { architectureOf } from '../config/architectures.js';
import { parseJsonObject } from '../config/json-file.js';
import type { ModelConfig } from '../config/model-config.js';
import { type DenseWeights, denseWeightsOf } from '../model/dense-weights.js';
import type { ModelSource } from '../model/model-source.js';
import type { CancelOptions } from '../sources/random-access-source.js';
import { ggufConfigMetadata, rotaryFactorTensors } from './gguf-config-metadata.js';
import type { GgufDeclaration } from './gguf-declaration.js';
import { copiedBytes, type GgufWeight, ggufWeightsOf, roundedBytes } from './gguf-model-weights.js';
import { ggufQuantizers } from './gguf-quantize.js';
import type { GgufQuantizer } from './gguf-quantizer.js';
import { assertSameConfig } from './gguf-same-config.js';
import type { GgufTensorSpec } from './gguf-serialize.js';
import type { TokenizerFiles } from './gguf-tokenizer.js';
import { ggufTokenizerMetadata, lostTokenFlags } from './gguf-tokenizer-metadata.js';
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

/** GGML_QNT_VERSION of ggml.h. */
const QUANTIZATION_VERSION = 2;

/**
 * The GGUF file of a model: names, row order, metadata and tokenizer as llama.cpp has them. Matrices that the model has in that type are
 * copied; those that it has quantized in another are rounded a second time, and a warning says so. No weight is read until the bytes
 * are asked for. Throws UnsupportedError for architectures, options and tokenizers that cannot be written, and
 * InvalidArgumentError for a type that is not known; the bytes throw InvalidArgumentError for a weight that is no finite
 * number, which no block holds.
 */
export async function ggufOfModel(
  model: ModelSource,
  { type, signal }: GgufModelOptions,
): Promise<GgufModel> {
  const quantizer = ggufQuantizers.get(type);
  const architecture = architectureOf(model.config.architecture, model.name);
  const stored = architectureOf(architecture.ggufAs ?? architecture.name, model.name);
  const declaration = declarationOf(stored, model.name);
  const weights = denseWeightsOf(model);
  const factors = Array.from(rotaryFactorTensors(model.config), ([name, values]) => ({
    name,
    type: 'F32',
    shape: [values.length],
    values,
    async *bytes() {
      yield new Uint8Array(values.buffer);
    },
  }));
  const tensors = ggufWeightsOf(model, architecture, declaration).map((weight) => {
    const chosen = typeOf(weight, quantizer, model.config, architecture);
    const copied =
      weight.offset === 0 && model.has(weight.name) && model.tensorInfo(weight.name).dtype === chosen.name;
    const bytes = () =>
      copied
        ? copiedBytes(model, weight, { signal })
        : roundedBytes(model, weights, weight, chosen, { signal });
    return { ...weight, type: chosen.name, copied, bytes };
  });
  const written: readonly GgufModelTensor[] = [
    ...factors.map(({ name, type: typeName, shape, bytes }) => ({ name, type: typeName, shape, bytes })),
    ...tensors.map(({ ggufName, type: typeName, shape, bytes }) => ({
      name: ggufName,
      type: typeName,
      shape,
      bytes,
    })),
  ];
  const tokenizer = tokenizerFilesOf(model);
  const metadata = metadataOf(model, tokenizer, declaration, quantizer);
  const lostFlags = lostTokenFlags(tokenizer);
  const config = { ...model.config, architecture: stored.name };
  const factorsByName = new Map(factors.map(({ name, values }) => [name, values]));
  await assertSameConfig(config, model.name, metadata, written, factorsByName);
  return {
    metadata,
    tensors: written,
    warnings: [
      ...requantizationWarnings(
        model,
        weights,
        tensors.filter(({ copied }) => !copied),
        quantizer,
      ),
      ...blockWarnings(
        tensors.filter(({ shape, type: typeName }) => shape.length > 1 && typeName === 'F16'),
        quantizer,
      ),
      ...(lostFlags === undefined ? [] : [lostFlags]),
    ],
  };
}

function declarationOf({ name, gguf }: Architecture, file: string): GgufDeclaration {
  if (gguf) return gguf;
  throw new UnsupportedError(`models of the architecture ${name} cannot be written as GGUF`, {
    file,
    mend: 'Convert the model with convert_hf_to_gguf.py of llama.cpp.',
  });
}

/** The type in which a weight is written. */
function typeOf(
  { name, shape }: GgufWeight,
  asked: GgufQuantizer,
  config: ModelConfig,
  architecture: Architecture,
): GgufQuantizer {
  const { embedding, head, positions } = architecture.layout(config);
  if (shape.length < 2 || name === `${positions}.weight`) return ggufQuantizers.get('F32');
  if (shape.at(-1)! % asked.blockSize !== 0) return ggufQuantizers.get('F16');
  const isOutput = name === `${config.tiedEmbeddings ? embedding : head.module}.weight`;
  return isOutput && bitsPerElement(asked) < 8 ? ggufQuantizers.get('Q8_0') : asked;
}

function bitsPerElement({ blockSize, bytesPerBlock }: GgufQuantizer): number {
  return (8 * bytesPerBlock) / blockSize;
}

/** The parsed files of the tokenizer, with the chat template wherever it is. */
function tokenizerFilesOf(model: ModelSource): TokenizerFiles {
  const fileOf = (name: string) => {
    const bytes = model.tokenizerFiles.get(name);
    return bytes && parseJsonObject(bytes, `${model.name}/${name}`);
  };
  const chatTemplate = model.tokenizerFiles.get('chat_template.jinja');
  const tokenizerConfig = {
    ...(chatTemplate && { chat_template: new TextDecoder().decode(chatTemplate) }),
    ...fileOf('tokenizer_config.json'),
  };
  return { tokenizerJson: fileOf('tokenizer.json') ?? {}, tokenizerConfig };
}

function metadataOf(
  model: ModelSource,
  tokenizer: TokenizerFiles,
  declaration: GgufDeclaration,
  { fileType, blockSize }: GgufQuantizer,
): GgufTypedMetadata {
  const ids = [
    ['bos', model.config.beginningOfSequence],
    ['eos', model.config.endOfSequence],
  ] as const;
  return new Map([
    ['general.architecture', typed.string(declaration.name)],
    ['general.type', typed.string('model')],
    ['general.name', typed.string(model.name)],
    ['general.file_type', typed.uint32(fileType)],
    ...(blockSize > 1 ? [['general.quantization_version', typed.uint32(QUANTIZATION_VERSION)] as const] : []),
    ...ggufConfigMetadata(declaration, model.config),
    // The tokenizer's own, where it names them, come behind these.
    ...ids.flatMap(([name, id]) =>
      id === undefined ? [] : [[`tokenizer.ggml.${name}_token_id`, typed.uint32(id)] as const],
    ),
    ...ggufTokenizerMetadata(tokenizer, model.tokenizer, model.config.vocabularySize, model.name),
  ]);
}

type Written = Pick<GgufWeight, 'name'>;

function requantizationWarnings(
  model: ModelSource,
  weights: DenseWeights,
  rounded: readonly Written[],
  { name: asked, blockSize }: GgufQuantizer,
): readonly string[] {
  if (blockSize === 1) return [];
  const formats = new Map<string, number>();
  for (const { name: source } of rounded) {
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
  if (uneven.length === 0 || blockSize === 1) return [];
  return [
    `${uneven.length} matrices such as ${uneven[0]!.name} are F16, because their rows are no whole blocks of ${blockSize} as ${name} needs.`,
  ];
}
