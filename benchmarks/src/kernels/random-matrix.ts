import {
  type NumberFormat,
  partSizes,
  type QuantizedMatrix,
  scaleEncodingOf,
  writeScaleCode,
} from '@lbs/format';
import type { MatrixShape } from './kernel-cases.js';

/** Random codes under scales that are all alike: a speed depends on neither. */
export function randomMatrix(format: NumberFormat, { rows, columns }: MatrixShape): QuantizedMatrix {
  const sizes = partSizes(format, rows, columns);
  const encoding = scaleEncodingOf(format);
  const scale = 2 ** -6;
  const baseCode = encoding.base?.choose(scale) ?? 0;
  const baseValue = encoding.base?.encoding.decode(baseCode, 1) ?? 1;
  const scaleBytes = encoding.base?.encoding.bytes ?? 1;
  const matrix = {
    ...{ format, rows, columns },
    packed: randomBytes(sizes.packed),
    shared: randomBytes(sizes.shared),
    scales: repeatedCode(sizes.scales, encoding.bytes, encoding.nearest(scale, baseValue)),
    scaleBases: repeatedCode(sizes.scaleBases, scaleBytes, baseCode),
  };
  return format.zeroPoint ? { ...matrix, zeroPoints: new Uint8Array(sizes.zeroPoints).fill(8) } : matrix;
}

/** Numbers between -1 and 1. */
export function randomActivations(length: number): Float32Array {
  const next = createRandom();
  return Float32Array.from({ length }, () => next() / 2 ** 31 - 1);
}

function randomBytes(length: number): Uint8Array {
  const next = createRandom();
  return Uint8Array.from({ length }, () => next() >>> 24);
}

function repeatedCode(length: number, bytes: number, code: number): Uint8Array {
  const codes = new Uint8Array(length);
  for (let i = 0; i < length / bytes; i++) writeScaleCode(codes, bytes, i, code);
  return codes;
}

/** A linear congruential generator of 32-bit numbers. */
function createRandom(): () => number {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state;
  };
}
