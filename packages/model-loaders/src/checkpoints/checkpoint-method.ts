import type { JsonObject } from '../config/json-file.js';
import type { RowRange, TensorInfo } from '../model/tensor-store.js';
import type { CancelOptions } from '../sources/random-access-source.js';

/** A way in which others store quantized models: what `quant_method` names. */
export interface CheckpointMethod {
  /** As `quant_method` spells it. */
  readonly name: string;
  /** Reads a `quantization_config`. Throws MalformedFileError and UnsupportedError. */
  parse(config: JsonObject, file: string): Checkpoint;
}

/** How the matrices of one model are stored. */
export interface Checkpoint {
  /** A module is quantized where it has one of these tensors: `qweight` means `MODULE.qweight`. */
  readonly markers: readonly string[];
  /** What else belongs to a quantized matrix, and is no tensor of the model. */
  readonly helpers: readonly string[];
  /** Checks the parts of a module against each other. Throws TensorMismatchError, MalformedFileError, UnsupportedError. */
  matrix(module: ModuleParts): Promise<CheckpointMatrix> | CheckpointMatrix;
}

/** The type that the reference code gives the dequantized values, by which they are rounded. */
export type DequantizedDtype = 'F16' | 'BF16' | 'F32';

/** A quantized matrix. */
export interface CheckpointMatrix {
  /** [out, in], as the model has it. */
  readonly shape: readonly [rows: number, columns: number];
  readonly dtype: DequantizedDtype;
  /** The tensors that dequantization needs. */
  readonly parts: readonly string[];
  /** Values of some rows, row-major. `bytes` gives the whole content of a part. Throws MalformedFileError. */
  dequantize(bytes: (part: string) => Uint8Array<ArrayBuffer>, rows: RowRange): Float32Array<ArrayBuffer>;
}

/** The tensors of one module, by the part of their name behind the module's. */
export interface ModuleParts {
  /** Such as `model.layers.0.mlp.up_proj`. */
  readonly module: string;
  readonly file: string;
  /** Undefined where there is no such part. */
  info(part: string): TensorInfo | undefined;
  /** For parts of some bytes that say what the others are. */
  read(part: string, options?: CancelOptions): Promise<Uint8Array<ArrayBuffer>>;
}
