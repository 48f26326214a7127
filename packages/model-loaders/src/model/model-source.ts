import type { JsonObject } from '../config/json-file.js';
import type { ModelConfig } from '../config/model-config.js';
import type { CancelOptions, RandomAccessSource } from '../sources/random-access-source.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import type { ReadValuesOptions, TensorInfo } from './tensor-store.js';

/**
 * A published model, whatever it is stored in. Tensors have the names and the layout of Hugging Face:
 * `model.layers.0.self_attn.q_proj.weight` is [out, in].
 */
export interface ModelSource {
  /** Of the directory or file, without extension. */
  readonly name: string;
  readonly config: ModelConfig;
  /** The config.json, to be copied when a quantized model is written. Made up for a GGUF file. */
  readonly configJson: JsonObject;
  readonly tokenizer: Tokenizer;
  /** Name and content of the files that belong beside the weights. Made up for a GGUF file. */
  readonly tokenizerFiles: ReadonlyMap<string, Uint8Array>;
  /** In the order of the data. */
  readonly tensorNames: readonly string[];
  has(name: string): boolean;
  /** Throws InvalidArgumentError where there is no such tensor. */
  tensorInfo(name: string): TensorInfo;
  /** The stored bytes. */
  readBytes(name: string, options?: CancelOptions): Promise<Uint8Array<ArrayBuffer>>;
  /** The stored bytes in order, in pieces that are small where the file's layout allows it. */
  readPieces(name: string, options?: CancelOptions): AsyncIterable<Uint8Array<ArrayBuffer>>;
  /** The values, row-major, of all rows or some. Throws UnsupportedError for a dtype without values that float32 can hold. */
  readFloat32(name: string, options?: ReadValuesOptions): Promise<Float32Array<ArrayBuffer>>;
  /** The open weight files, to be hashed; they belong to the model. */
  readonly weightFiles: readonly RandomAccessSource[];
  /** Size of all weight files. */
  readonly fileBytes: number;
  /** Closes the files. Nothing can be read afterwards. */
  close(): Promise<void>;
}
