export { architectureNames, layoutOf, tensorShapes } from './config/architectures.js';
export {
  type BlockMatrix,
  type BlockNorm,
  blockMatrices,
  type DecoderLayout,
  type LinearLayer,
  type LinearPlace,
  linearSize,
  type NormPlace,
  normWidth,
  type RowRuns,
} from './config/decoder-layout.js';
export { parseConfig } from './config/huggingface-config.js';
export { type JsonObject, parseJsonObject } from './config/json-file.js';
export * from './config/model-config.js';
export type { RotaryScaling } from './config/rotary-scaling.js';
export * from './gguf/gguf.js';
export { configJsonOfGguf, type GgufConfigSource, parseGgufConfig } from './gguf/gguf-config.js';
export { ggufDequantizers } from './gguf/gguf-dequantize.js';
export type { GgufDequantizer } from './gguf/gguf-dequantizer.js';
export type { GgufValue } from './gguf/gguf-metadata.js';
export {
  type GgufModel,
  type GgufModelOptions,
  type GgufModelTensor,
  ggufOfModel,
} from './gguf/gguf-of-model.js';
export { isPackedGgufType, type PackedGgufMatrix, packGgufMatrix } from './gguf/gguf-packed-matrix.js';
export { ggufQuantizers } from './gguf/gguf-quantize.js';
export type { GgufQuantizer } from './gguf/gguf-quantizer.js';
export * from './gguf/gguf-serialize.js';
export { type OpenGgufShard, openGgufShards } from './gguf/gguf-shards.js';
export { type TokenizerFiles, tokenizerFilesOfGguf } from './gguf/gguf-tokenizer.js';
export type {
  GgufScalar,
  GgufScalarType,
  GgufTypedMetadata,
  GgufTypedValue,
} from './gguf/gguf-typed-value.js';
export type { GgufType } from './gguf/gguf-types.js';
export { type OpenGgufModelOptions, openGgufModel } from './gguf/open-gguf-model.js';
export type { HttpOptions } from './http/http-client.js';
export type { RetryPolicy } from './http/retry.js';
export type { HubFile, HubOptions } from './hub/hub-api.js';
export { type HubDirectory, hubDirectory } from './hub/hub-directory.js';
export { type HubReference, parseHubReference } from './hub/hub-reference.js';
export * from './model/model-source.js';
export { type ModelInput, type OpenModelOptions, openModel } from './model/open-model.js';
export { openModelDirectory } from './model/open-model-directory.js';
export type { ReadValuesOptions, RowRange, TensorInfo, TensorStore } from './model/tensor-store.js';
export * from './model/verify-model.js';
export * from './safetensors/safetensors.js';
export { openShardedSafetensors, parseShardIndex } from './safetensors/safetensors-shards.js';
export { chosenFiles } from './sources/chosen-files.js';
export type { ModelDirectory } from './sources/model-directory.js';
export { blobSource, type CancelOptions, type RandomAccessSource } from './sources/random-access-source.js';
export { urlDirectory } from './sources/url-directory.js';
export { type UrlSourceOptions, urlSource } from './sources/url-source.js';
export type { ChatMessage, ChatTemplateOptions } from './tokenizer/chat-template.js';
export type { TokenStream } from './tokenizer/token-stream.js';
export { type ChatPrompt, createTokenizer, type Tokenizer } from './tokenizer/tokenizer.js';
