import {
  float32FromBfloat16,
  float32FromFloat16,
  type SafetensorsDtype,
  UnsupportedError,
} from '@lbs/format';

type Converter = (bytes: Uint8Array<ArrayBuffer>) => Float32Array<ArrayBuffer>;

/** Every supported machine is little-endian, as the format is, so that bytes are viewed and not swapped. */
const converters: Partial<Record<SafetensorsDtype, Converter>> = {
  F64: (bytes) => Float32Array.from(new Float64Array(bytes.buffer)),
  F32: (bytes) => new Float32Array(bytes.buffer),
  F16: (bytes) => convert16(bytes, float32FromFloat16),
  BF16: (bytes) => convert16(bytes, float32FromBfloat16),
};

/** Names of the dtypes that float32FromSafetensors converts. */
export const float32Dtypes: readonly string[] = Object.keys(converters);

/**
 * Values of a tensor. `bytes` is a whole buffer, which may come back as the result. F64 is rounded to nearest, the
 * others are exact. Throws UnsupportedError for integers and 8-bit floats, which have no meaning without a scale.
 */
export function float32FromSafetensors(
  dtype: SafetensorsDtype,
  bytes: Uint8Array<ArrayBuffer>,
  place: { readonly file: string; readonly tensor: string },
): Float32Array<ArrayBuffer> {
  const converter = converters[dtype];
  if (!converter) {
    throw new UnsupportedError(`dtype ${dtype} cannot be read as float32`, {
      ...place,
      mend: `Convert the tensor to one of ${float32Dtypes.join(', ')}.`,
    });
  }
  return converter(bytes);
}

function convert16(
  bytes: Uint8Array<ArrayBuffer>,
  into: (source: Uint16Array, target: Float32Array<ArrayBuffer>) => Float32Array,
): Float32Array<ArrayBuffer> {
  const source = new Uint16Array(bytes.buffer);
  const target = new Float32Array(source.length);
  into(source, target);
  return target;
}
