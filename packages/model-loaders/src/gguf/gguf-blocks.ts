import { numberFromFloat16 } from '@lbs/format';
import { type BlockDequantizer, blockwise } from './gguf-dequantizer.js';

const BLOCK = 32;

function float16At(view: DataView, offset: number): number {
  return numberFromFloat16(view.getUint16(offset, true));
}

/** Calls `write` with each element's 4-bit code: element j in the low half of byte j, j + 16 in its high half. */
function eachNibble(view: DataView, offset: number, write: (element: number, code: number) => void): void {
  for (let j = 0; j < BLOCK / 2; j++) {
    const pair = view.getUint8(offset + j);
    write(j, pair & 15);
    write(j + BLOCK / 2, pair >> 4);
  }
}

/** f16 scale, 32 signed codes. */
const q8_0: BlockDequantizer = (view, offset, target, index) => {
  const scale = float16At(view, offset);
  for (let j = 0; j < BLOCK; j++) target[index + j] = scale * view.getInt8(offset + 2 + j);
};

/** f16 scale, 4-bit codes that count from -8. */
const q4_0: BlockDequantizer = (view, offset, target, index) => {
  const scale = float16At(view, offset);
  eachNibble(view, offset + 2, (j, code) => {
    target[index + j] = scale * (code - 8);
  });
};

/** f16 scale, f16 minimum, 4-bit codes. */
const q4_1: BlockDequantizer = (view, offset, target, index) => {
  const scale = float16At(view, offset);
  const minimum = float16At(view, offset + 2);
  eachNibble(view, offset + 4, (j, code) => {
    target[index + j] = scale * code + minimum;
  });
};

/** f16 scale, the fifth bits of 32 codes that count from -16, their low bits. */
const q5_0: BlockDequantizer = (view, offset, target, index) => {
  const scale = float16At(view, offset);
  const high = view.getUint32(offset + 2, true);
  eachNibble(view, offset + 6, (j, low) => {
    target[index + j] = scale * ((low | (((high >>> j) & 1) << 4)) - 16);
  });
};

/** f16 scale, f16 minimum, the fifth bits of 32 codes, their low bits. */
const q5_1: BlockDequantizer = (view, offset, target, index) => {
  const scale = float16At(view, offset);
  const minimum = float16At(view, offset + 2);
  const high = view.getUint32(offset + 4, true);
  eachNibble(view, offset + 8, (j, low) => {
    target[index + j] = scale * (low | (((high >>> j) & 1) << 4)) + minimum;
  });
};

/** The types with blocks of 32 elements. */
export const blockDequantizers = [
  blockwise('Q4_0', BLOCK, 18, q4_0),
  blockwise('Q4_1', BLOCK, 20, q4_1),
  blockwise('Q5_0', BLOCK, 22, q5_0),
  blockwise('Q5_1', BLOCK, 24, q5_1),
  blockwise('Q8_0', BLOCK, 34, q8_0),
];
