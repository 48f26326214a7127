import { bfloat16FromFloat32, createRegistry, float16FromFloat32 } from '@lbs/format';
import { blockQuantizers } from './gguf-quantize-blocks.js';
import { levelQuantizers } from './gguf-quantize-levels.js';
import type { GgufQuantizer } from './gguf-quantizer.js';
import { ggufTypeNamed } from './gguf-types.js';

/** Makes a quantizer of 16-bit elements. */
function elementwise16(
  name: string,
  fileType: number,
  convert: (source: Float32Array, target: Uint16Array<ArrayBuffer>) => unknown,
): GgufQuantizer {
  return {
    ...ggufTypeNamed(name)!,
    fileType,
    quantize(values) {
      const target = new Uint16Array(values.length);
      convert(values, target);
      return new Uint8Array(target.buffer);
    },
  };
}

/** The types that values can be stored in, bit for bit as ggml and gguf-py store them. */
export const ggufQuantizers = createRegistry<GgufQuantizer>('GGUF quantizer', [
  {
    ...ggufTypeNamed('F32')!,
    fileType: 0,
    quantize: (values) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  },
  elementwise16('F16', 1, float16FromFloat32),
  elementwise16('BF16', 32, bfloat16FromFloat32),
  ...blockQuantizers,
  ...levelQuantizers,
]);
