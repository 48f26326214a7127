import {
  createRegistry,
  float32FromBfloat16,
  float32FromFloat16,
  numberFromFloat16,
  UnsupportedError,
} from '@lbs/format';
import type { GgufType } from './gguf-types.js';

/** How the bytes of one type become values. */
export interface GgufDequantizer {
  /** Of the type. */
  readonly name: string;
  /** Values of whole blocks. `bytes` is a whole buffer, which may come back as the result. */
  dequantize(bytes: Uint8Array<ArrayBuffer>): Float32Array<ArrayBuffer>;
}

/** Elements of a block of all types below. */
const BLOCK = 32;

/** Makes a dequantizer from a function that writes one block: `view` at `offset` to `target` at `index`. */
function blockwise(
  name: string,
  bytesPerBlock: number,
  block: (view: DataView, offset: number, target: Float32Array, index: number) => void,
): GgufDequantizer {
  return {
    name,
    dequantize(bytes) {
      const view = new DataView(bytes.buffer);
      const blocks = bytes.length / bytesPerBlock;
      const target = new Float32Array(blocks * BLOCK);
      for (let i = 0; i < blocks; i++) block(view, i * bytesPerBlock, target, i * BLOCK);
      return target;
    },
  };
}

/**
 * The types that can be read as float32, bit for bit as gguf-py's `dequantize` reads them. Products of a binary16
 * scale and a small code are exact in float32, so that only the sum of Q4_1 is rounded, once.
 */
export const ggufDequantizers = createRegistry<GgufDequantizer>('GGUF dequantizer', [
  { name: 'F32', dequantize: (bytes) => new Float32Array(bytes.buffer) },
  {
    name: 'F16',
    dequantize(bytes) {
      const target = new Float32Array(bytes.length / 2);
      float32FromFloat16(new Uint16Array(bytes.buffer), target);
      return target;
    },
  },
  {
    name: 'BF16',
    dequantize(bytes) {
      const target = new Float32Array(bytes.length / 2);
      float32FromBfloat16(new Uint16Array(bytes.buffer), target);
      return target;
    },
  },
  // f16 scale, 32 signed codes.
  blockwise('Q8_0', 34, (view, offset, target, index) => {
    const scale = numberFromFloat16(view.getUint16(offset, true));
    for (let j = 0; j < BLOCK; j++) target[index + j] = scale * view.getInt8(offset + 2 + j);
  }),
  // f16 scale, 16 bytes: element j in the low half of byte j, element j + 16 in its high half.
  blockwise('Q4_0', 18, (view, offset, target, index) => {
    const scale = numberFromFloat16(view.getUint16(offset, true));
    for (let j = 0; j < 16; j++) {
      const pair = view.getUint8(offset + 2 + j);
      target[index + j] = scale * ((pair & 15) - 8);
      target[index + j + 16] = scale * ((pair >> 4) - 8);
    }
  }),
  // f16 scale, f16 minimum, 16 bytes as in Q4_0.
  blockwise('Q4_1', 20, (view, offset, target, index) => {
    const scale = numberFromFloat16(view.getUint16(offset, true));
    const minimum = numberFromFloat16(view.getUint16(offset + 2, true));
    for (let j = 0; j < 16; j++) {
      const pair = view.getUint8(offset + 4 + j);
      target[index + j] = scale * (pair & 15) + minimum;
      target[index + j + 16] = scale * (pair >> 4) + minimum;
    }
  }),
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
