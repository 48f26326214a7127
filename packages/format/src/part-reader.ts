import { type ErrorPlace, MalformedFileError, TensorMismatchError } from './errors.js';
import type { SafetensorsDtype } from './safetensors-dtype.js';
import type { FoundTensor, StoredTensorReader } from './stored-tensor.js';

/** Reads the parts of one module and checks each against what the format asks for. */
export class PartReader {
  constructor(
    private readonly module: string,
    private readonly read: StoredTensorReader,
    private readonly file: string | undefined,
  ) {}

  /** The bytes of a part. Throws MalformedFileError where it is missing, TensorMismatchError where it does not fit. */
  async required(suffix: string, dtype: SafetensorsDtype, shape: readonly number[]): Promise<Uint8Array> {
    const tensor = await this.find(suffix);
    if (!tensor) throw this.missing(suffix);
    const fits = tensor.shape.length === shape.length && shape.every((size, i) => tensor.shape[i] === size);
    if (!fits || tensor.dtype !== dtype)
      throw this.mismatch(suffix, `${dtype} [${shape.join(', ')}]`, tensor);
    return tensor.bytes;
  }

  /** The bytes of a list of any length; undefined where it is missing. Throws TensorMismatchError where it is none. */
  async optionalList(suffix: string, dtype: SafetensorsDtype): Promise<Uint8Array | undefined> {
    const tensor = await this.find(suffix);
    if (!tensor) return undefined;
    if (tensor.shape.length !== 1 || tensor.dtype !== dtype)
      throw this.mismatch(suffix, `a list of ${dtype}`, tensor);
    return tensor.bytes;
  }

  /** A part as the file gives it; undefined where it is missing. */
  find(suffix: string): Promise<FoundTensor | undefined> {
    return this.read(`${this.module}.${suffix}`);
  }

  /** Where an error about a part belongs. */
  placeOf(suffix: string): ErrorPlace {
    return { file: this.file, tensor: `${this.module}.${suffix}` };
  }

  missing(suffix: string): MalformedFileError {
    return new MalformedFileError('the tensor is missing', {
      ...this.placeOf(suffix),
      mend: 'The file may be incomplete: quantize the model again or copy it anew.',
    });
  }

  malformed(suffix: string, problem: string): never {
    throw new MalformedFileError(problem, this.placeOf(suffix));
  }

  private mismatch(suffix: string, expected: string, { dtype, shape }: FoundTensor): TensorMismatchError {
    return new TensorMismatchError(`expected ${expected}, found ${dtype} [${shape.join(', ')}]`, {
      ...this.placeOf(suffix),
      mend: 'The quantization_config of the model may not be its own.',
    });
  }
}
