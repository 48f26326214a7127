import { createRegistry, UnsupportedError } from '@lbs/format';
import { blockDequantizers } from './gguf-blocks.js';
import type { GgufDequantizer } from './gguf-dequantizer.js';
import { elementDequantizers } from './gguf-elements.js';
import { gridDequantizers } from './gguf-grid-blocks.js';
import { superBlockDequantizers } from './gguf-super-blocks.js';
import { tableDequantizers } from './gguf-table-blocks.js';
import { ternaryDequantizers } from './gguf-ternary-blocks.js';
import type { GgufType } from './gguf-types.js';

/**
 * The types that can be read as float32, bit for bit as gguf-py's `dequantize` reads them, and ggml those that gguf-py
 * does not. JavaScript computes in double precision: there a product of a scale and a code, and a minimum added to it,
 * is exact, so that a value is rounded once, where it is stored, as there. Q8_1 has none: it holds activations, and
 * ggml cannot read it either.
 */
export const ggufDequantizers = createRegistry<GgufDequantizer>('GGUF dequantizer', [
  ...elementDequantizers,
  ...blockDequantizers,
  ...superBlockDequantizers,
  ...tableDequantizers,
  ...gridDequantizers,
  ...ternaryDequantizers,
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
