import { createRegistry, float32FromBfloat16, float32FromFloat16, UnsupportedError } from '@lbs/format';
import { blockDequantizers } from './gguf-blocks.js';
import type { GgufDequantizer } from './gguf-dequantizer.js';
import { superBlockDequantizers } from './gguf-super-blocks.js';
import type { GgufType } from './gguf-types.js';

/** Makes a dequantizer of 16-bit elements. */
function elementwise16(
  name: string,
  convert: (source: Uint16Array, target: Float32Array<ArrayBuffer>) => Float32Array,
): GgufDequantizer {
  return {
    name,
    dequantize(bytes) {
      const target = new Float32Array(bytes.length / 2);
      convert(new Uint16Array(bytes.buffer), target);
      return target;
    },
  };
}

/**
 * The types that can be read as float32, bit for bit as gguf-py's `dequantize` reads them. JavaScript computes in
 * double precision: a block's scale is exact in it, so that a value is rounded once, where it is stored, as there.
 */
export const ggufDequantizers = createRegistry<GgufDequantizer>('GGUF dequantizer', [
  { name: 'F32', dequantize: (bytes) => new Float32Array(bytes.buffer) },
  elementwise16('F16', float32FromFloat16),
  elementwise16('BF16', float32FromBfloat16),
  ...blockDequantizers,
  ...superBlockDequantizers,
]);

/** The dequantizer of a type. Throws UnsupportedError that names the type, the tensor and what is known. */
export function dequantizerOf(
  type: GgufType,
  place: { readonly file: string; readonly tensor: string },
): GgufDequantizer {
  if (!ggufDequantizers.names.includes(type.name)) {
    throw new UnsupportedError(`the GGUF type ${type.name} cannot be read as float32`, {
      ...place,
      mend: `Use a file whose tensors are ${ggufDequantizers.names.join(', ')}.`,
    });
  }
  return ggufDequantizers.get(type.name);
}
