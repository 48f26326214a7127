import {
  float32FromBfloat16,
  float32FromFloat16,
  type SafetensorsDtype,
  UnsupportedError,
} from '@lbs/format';
import {
  float4E2M1,
  float8E4M3,
  float8E4M3Fnuz,
  float8E5M2,
  float8E5M2Fnuz,
  float8E8M0,
} from './small-floats.js';

type Converter = (bytes: Uint8Array<ArrayBuffer>) => Float32Array<ArrayBuffer>;

/** Every supported machine is little-endian, as the format is, so that bytes are viewed and not swapped. */
const floatConverters: Partial<Record<SafetensorsDtype, Converter>> = {
  F64: (bytes) => Float32Array.from(new Float64Array(bytes.buffer)),
  F32: (bytes) => new Float32Array(bytes.buffer),
  F16: (bytes) => convert16(bytes, float32FromFloat16),
  BF16: (bytes) => convert16(bytes, float32FromBfloat16),
  F8_E4M3: (bytes) => lookUp(bytes, float8E4M3),
  F8_E5M2: (bytes) => lookUp(bytes, float8E5M2),
  F8_E4M3FNUZ: (bytes) => lookUp(bytes, float8E4M3Fnuz),
  F8_E5M2FNUZ: (bytes) => lookUp(bytes, float8E5M2Fnuz),
};

const converters: Partial<Record<SafetensorsDtype, Converter>> = {
  ...floatConverters,
  F8_E8M0: (bytes) => lookUp(bytes, float8E8M0),
  F4: nibbles,
  BOOL: (bytes) => Float32Array.from(bytes, (byte) => (byte === 0 ? 0 : 1)),
  I8: (bytes) => Float32Array.from(new Int8Array(bytes.buffer)),
  U8: (bytes) => Float32Array.from(bytes),
  I16: (bytes) => Float32Array.from(new Int16Array(bytes.buffer)),
  U16: (bytes) => Float32Array.from(new Uint16Array(bytes.buffer)),
  I32: (bytes) => Float32Array.from(new Int32Array(bytes.buffer)),
  U32: (bytes) => Float32Array.from(new Uint32Array(bytes.buffer)),
  I64: (bytes) => convert64(new BigInt64Array(bytes.buffer)),
  U64: (bytes) => convert64(new BigUint64Array(bytes.buffer)),
};

/** The dtypes that weights may have: floating-point numbers that mean something without a scale. */
export const float32Dtypes: readonly string[] = Object.keys(floatConverters);

/** Why values of the other dtypes are not read. */
const reasons: Partial<Record<SafetensorsDtype, string>> = {
  C64: 'complex numbers have two parts',
  F6_E2M3: 'the format does not say how values of 6 bits lie in bytes',
  F6_E3M2: 'the format does not say how values of 6 bits lie in bytes',
};

/**
 * Values of a tensor. `bytes` is a whole buffer, which may come back as the result. What float32 does not hold (F64,
 * integers of 32 and 64 bits) is rounded to nearest, half to even; the others are exact. Of two F4 in a byte the first is in the low
 * half, as PyTorch packs them. Throws UnsupportedError for complex numbers and for floats of 6 bits.
 */
export function float32FromSafetensors(
  dtype: SafetensorsDtype,
  bytes: Uint8Array<ArrayBuffer>,
  place: { readonly file: string; readonly tensor: string },
): Float32Array<ArrayBuffer> {
  const converter = converters[dtype];
  if (converter) return converter(bytes);
  throw new UnsupportedError(`dtype ${dtype} cannot be read as float32: ${reasons[dtype]}`, {
    ...place,
    mend: `Read its bytes, or convert the tensor to one of ${float32Dtypes.join(', ')}.`,
  });
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

function lookUp(bytes: Uint8Array, values: Float32Array): Float32Array<ArrayBuffer> {
  const target = new Float32Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) target[i] = values[bytes[i]!]!;
  return target;
}

function nibbles(bytes: Uint8Array): Float32Array<ArrayBuffer> {
  const target = new Float32Array(2 * bytes.length);
  for (let i = 0; i < bytes.length; i++) {
    target[2 * i] = float4E2M1[bytes[i]! & 15]!;
    target[2 * i + 1] = float4E2M1[bytes[i]! >>> 4]!;
  }
  return target;
}

/** Numbers up to 2^53 are exact as float64. */
const EXACT_BITS = 53n;

/** Rounds once: a detour over float64 would round twice. */
function convert64(source: BigInt64Array | BigUint64Array): Float32Array<ArrayBuffer> {
  const target = new Float32Array(source.length);
  for (let i = 0; i < source.length; i++) {
    const value = source[i]!;
    const magnitude = value < 0n ? -value : value;
    if (magnitude >> EXACT_BITS === 0n) {
      target[i] = Number(value);
      continue;
    }
    // The bits that float64 has no room for are below those that float32 keeps: whether one of them is set is all that counts.
    const lost = (magnitude & 0x7ffn) === 0n ? 0n : 1n;
    const rounded = Math.fround(Number((magnitude >> 11n) | lost) * 2 ** 11);
    target[i] = value < 0n ? -rounded : rounded;
  }
  return target;
}
