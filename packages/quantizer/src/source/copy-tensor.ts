import { float16FromFloat32, safetensorsDtypes } from '@lbs/format';
import type { LazyTensor } from './lazy-tensor.js';

interface ReadOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Tensors by name. */
export interface TensorReader {
  tensorInfo(name: string): { readonly dtype: string; readonly shape: readonly number[] };
  readFloat32(name: string, options?: ReadOptions): Promise<Float32Array>;
  readBytes(name: string, options?: ReadOptions): Promise<Uint8Array>;
  /** The bytes in pieces. Where it is missing, tensors are copied whole. */
  readPieces?(name: string, options?: ReadOptions): AsyncIterable<Uint8Array>;
}

/**
 * A tensor that is not quantized, as it is written: byte by byte where safetensors has its type. The blocks of
 * another file format become F16, whose rounding (2^-12 of a value) is far below that of the blocks.
 */
export function copyTensor(source: TensorReader, name: string, options: ReadOptions = {}): LazyTensor {
  const { dtype, shape } = source.tensorInfo(name);
  const plainDtype = safetensorsDtypes.find((known) => known === dtype);
  return {
    name,
    dtype: plainDtype ?? 'F16',
    shape,
    async *bytes() {
      if (!plainDtype) {
        const bits = float16FromFloat32(await source.readFloat32(name, options));
        yield new Uint8Array(bits.buffer);
      } else if (source.readPieces) {
        yield* source.readPieces(name, options);
      } else {
        yield await source.readBytes(name, options);
      }
    },
  };
}
