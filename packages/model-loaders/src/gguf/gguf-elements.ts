import { float32FromBfloat16, float32FromFloat16 } from '@lbs/format';
import type { GgufDequantizer } from './gguf-dequantizer.js';
import { ggufTypeNamed } from './gguf-types.js';

/** Makes a dequantizer of elements that a typed array of the buffer already is. */
function elementwise<Elements>(
  name: string,
  view: new (buffer: ArrayBuffer) => Elements,
  convert: (elements: Elements) => Float32Array<ArrayBuffer>,
): GgufDequantizer {
  return { ...ggufTypeNamed(name)!, dequantize: (bytes) => convert(new view(bytes.buffer)) };
}

const rounded = (elements: ArrayLike<number>) => new Float32Array(elements);

/**
 * 64-bit integers as float32, rounded once. A double in between would round first; so of what is too long for it the
 * low bits become one bit that only says whether any of them is set.
 */
function float32FromInt64(words: Int32Array): Float32Array<ArrayBuffer> {
  const target = new Float32Array(words.length / 2);
  for (let i = 0; i < target.length; i++) {
    const high = words[2 * i + 1]!;
    const low = words[2 * i]! >>> 0;
    const isShort = high >= -(2 ** 20) && high < 2 ** 20;
    target[i] = isShort
      ? high * 2 ** 32 + low
      : 2 ** 10 * ((high * 2 ** 21 + (low >>> 11)) * 2 + ((low & 2047) === 0 ? 0 : 1));
  }
  return target;
}

/** The types without blocks. Integers are the nearest float32, as in a conversion of numpy. */
export const elementDequantizers = [
  elementwise('F32', Float32Array<ArrayBuffer>, (values) => values),
  elementwise('F16', Uint16Array, (bits) => {
    const target = new Float32Array(bits.length);
    float32FromFloat16(bits, target);
    return target;
  }),
  elementwise('BF16', Uint16Array, (bits) => {
    const target = new Float32Array(bits.length);
    float32FromBfloat16(bits, target);
    return target;
  }),
  elementwise('F64', Float64Array, rounded),
  elementwise('I8', Int8Array, rounded),
  elementwise('I16', Int16Array, rounded),
  elementwise('I32', Int32Array, rounded),
  elementwise('I64', Int32Array, float32FromInt64),
];
