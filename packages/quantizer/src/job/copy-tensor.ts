import { float16FromFloat32, type StoredTensor, safetensorsDtypes } from '@lbs/format';

interface ReadOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Tensors by name. */
export interface TensorReader {
  tensorInfo(name: string): { readonly dtype: string; readonly shape: readonly number[] };
  readFloat32(name: string, options?: ReadOptions): Promise<Float32Array>;
  readBytes(name: string, options?: ReadOptions): Promise<Uint8Array>;
}

/**
 * A tensor that is not quantized, as it is written: byte by byte where safetensors has its type. The blocks of
 * another file format become F16, whose rounding (2^-12 of a value) is far below that of the blocks.
 */
export async function copyTensor(
  source: TensorReader,
  name: string,
  signal: AbortSignal | undefined,
): Promise<StoredTensor> {
  const { dtype, shape } = source.tensorInfo(name);
  const plainDtype = safetensorsDtypes.find((known) => known === dtype);
  if (plainDtype) return { name, dtype: plainDtype, shape, bytes: await source.readBytes(name, { signal }) };
  const bits = float16FromFloat32(await source.readFloat32(name, { signal }));
  return { name, dtype: 'F16', shape, bytes: new Uint8Array(bits.buffer) };
}
