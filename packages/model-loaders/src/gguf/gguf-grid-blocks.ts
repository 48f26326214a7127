import { numberFromFloat16 } from '@lbs/format';
import { bits32At, float16At, uint16At } from './gguf-block-fields.js';
import { type BlockDequantizer, blockwise } from './gguf-dequantizer.js';
import { iq1Grid, iq2SGrid, iq2XsGrid, iq2XxsGrid, iq3SGrid, iq3XxsGrid } from './gguf-grids.js';

/*
 * The i-quants: super-blocks of 256 elements whose groups of 8 or 4 are points of a codebook. Those of 2 and 3 bits
 * have magnitudes in the codebook and signs beside it.
 */

/** Writes 8 elements: bit j of `signs` is set where element j is negative. `at` is the place of the point in `grid`. */
function writeSigned8(
  grid: Int8Array,
  at: number,
  signs: number,
  scale: number,
  target: Float32Array,
  index: number,
): void {
  for (let j = 0; j < 8; j++) target[index + j] = scale * grid[at + j]! * (1 - ((signs >> j) & 1) * 2);
}

/** Writes 8 elements of two points of four. */
function writeSigned4And4(
  grid: Int8Array,
  first: number,
  second: number,
  signs: number,
  scale: number,
  target: Float32Array,
  index: number,
): void {
  for (let j = 0; j < 4; j++) {
    target[index + j] = scale * grid[first + j]! * (1 - ((signs >> j) & 1) * 2);
    target[index + 4 + j] = scale * grid[second + j]! * (1 - ((signs >> (j + 4)) & 1) * 2);
  }
}

/** Eight signs of seven bits: the eighth makes the number of negative ones even. */
function evenSigns(seven: number): number {
  const folded = seven ^ (seven >> 4);
  return seven | (((0x6996 >> (folded & 15)) & 1) << 7);
}

/** The 4-bit scale of a block of 16 or 32, two in a byte. */
function scaleNibble(bytes: Uint8Array, offset: number, block: number): number {
  return (bytes[offset + (block >> 1)]! >> (4 * (block & 1))) & 15;
}

/** f16 scale of scales; for each block of 32: four codes of 8 bits, then 32 bits of four sevens of signs and a scale. */
const iq2_xxs: BlockDequantizer = (bytes, offset, target, index) => {
  const grid = iq2XxsGrid();
  const scales = float16At(bytes, offset);
  for (let block = 0; block < 8; block++) {
    const codes = offset + 2 + block * 8;
    const signs = bits32At(bytes, codes + 4);
    const scale = scales * (0.5 + (signs >>> 28)) * 0.25;
    for (let group = 0; group < 4; group++) {
      const eight = evenSigns((signs >>> (7 * group)) & 127);
      writeSigned8(grid, bytes[codes + group]! * 8, eight, scale, target, index + block * 32 + group * 8);
    }
  }
};

/** f16 scale of scales; for each group of 8: a code of 9 bits and seven signs; 4-bit scales of 16. */
const iq2_xs: BlockDequantizer = (bytes, offset, target, index) => {
  const grid = iq2XsGrid();
  const scales = float16At(bytes, offset);
  for (let group = 0; group < 32; group++) {
    const scale = scales * (0.5 + scaleNibble(bytes, offset + 66, group >> 1)) * 0.25;
    const code = uint16At(bytes, offset + 2 + group * 2);
    writeSigned8(grid, (code & 511) * 8, evenSigns(code >> 9), scale, target, index + group * 8);
  }
};

/** f16 scale of scales; low bytes of the 10-bit codes of groups of 8; their signs; high bit pairs; 4-bit scales of 16. */
const iq2_s: BlockDequantizer = (bytes, offset, target, index) => {
  const grid = iq2SGrid();
  const scales = float16At(bytes, offset);
  for (let group = 0; group < 32; group++) {
    const scale = scales * (0.5 + scaleNibble(bytes, offset + 74, group >> 1)) * 0.25;
    const high = (bytes[offset + 66 + (group >> 2)]! >> (2 * (group & 3))) & 3;
    const code = bytes[offset + 2 + group]! | (high << 8);
    writeSigned8(grid, code * 8, bytes[offset + 34 + group]!, scale, target, index + group * 8);
  }
};

/** f16 scale of scales; codes of groups of 4; for each block of 32: four sevens of signs and a scale. */
const iq3_xxs: BlockDequantizer = (bytes, offset, target, index) => {
  const grid = iq3XxsGrid();
  const scales = float16At(bytes, offset);
  for (let block = 0; block < 8; block++) {
    const signs = bits32At(bytes, offset + 66 + block * 4);
    const scale = scales * (0.5 + (signs >>> 28)) * 0.5;
    for (let pair = 0; pair < 4; pair++) {
      const codes = offset + 2 + block * 8 + pair * 2;
      const eight = evenSigns((signs >>> (7 * pair)) & 127);
      const at = index + block * 32 + pair * 8;
      writeSigned4And4(grid, bytes[codes]! * 4, bytes[codes + 1]! * 4, eight, scale, target, at);
    }
  }
};

/** f16 scale of scales; low bytes of the 9-bit codes of groups of 4; their high bits; signs; 4-bit scales of 32. */
const iq3_s: BlockDequantizer = (bytes, offset, target, index) => {
  const grid = iq3SGrid();
  const scales = float16At(bytes, offset);
  for (let pair = 0; pair < 32; pair++) {
    const scale = scales * (1 + 2 * scaleNibble(bytes, offset + 106, pair >> 2));
    const high = bytes[offset + 66 + (pair >> 2)]! >> (2 * (pair & 3));
    const codes = offset + 2 + pair * 2;
    const first = (bytes[codes]! | ((high & 1) << 8)) * 4;
    const second = (bytes[codes + 1]! | ((high & 2) << 7)) * 4;
    writeSigned4And4(grid, first, second, bytes[offset + 74 + pair]!, scale, target, index + pair * 8);
  }
};

/** Writes 8 elements of a codebook that has its signs, all of them moved by an eighth. */
function writeShifted8(
  grid: Int8Array,
  at: number,
  down: boolean,
  scale: number,
  target: Float32Array,
  index: number,
): void {
  const shift = down ? -0.125 : 0.125;
  for (let j = 0; j < 8; j++) target[index + j] = scale * (grid[at + j]! + shift);
}

/**
 * f16 scale of scales; low bytes of the 11-bit codes of groups of 8; for each block of 32: their high bits, a 3-bit
 * scale, and whether the levels are shifted down.
 */
const iq1_s: BlockDequantizer = (bytes, offset, target, index) => {
  const grid = iq1Grid();
  const scales = float16At(bytes, offset);
  for (let block = 0; block < 8; block++) {
    const field = uint16At(bytes, offset + 34 + block * 2);
    const scale = scales * (2 * ((field >> 12) & 7) + 1);
    const down = field >= 0x8000;
    for (let group = 0; group < 4; group++) {
      const code = bytes[offset + 2 + block * 4 + group]! | (((field >> (3 * group)) & 7) << 8);
      writeShifted8(grid, code * 8, down, scale, target, index + block * 32 + group * 8);
    }
  }
};

/**
 * Low bytes of the 11-bit codes of groups of 8; for each group 3 high bits and whether the levels are shifted down;
 * 3-bit scales of 16, four in 16 bits, whose last four bits together are the f16 scale of scales.
 */
const iq1_m: BlockDequantizer = (bytes, offset, target, index) => {
  const grid = iq1Grid();
  let scaleBits = 0;
  for (let i = 0; i < 4; i++) scaleBits |= (bytes[offset + 49 + 2 * i]! >> 4) << (4 * i);
  const scales = numberFromFloat16(scaleBits);
  for (let group = 0; group < 32; group++) {
    const block = group >> 1;
    const code3 = (uint16At(bytes, offset + 48 + 2 * (block >> 2)) >> (3 * (block & 3))) & 7;
    const scale = scales * (2 * code3 + 1);
    const high = (bytes[offset + 32 + block]! >> (4 * (group & 1))) & 15;
    const code = bytes[offset + group]! | ((high & 7) << 8);
    writeShifted8(grid, code * 8, high >= 8, scale, target, index + group * 8);
  }
};

/** The types whose codes are points of a codebook. */
export const gridDequantizers = [
  blockwise('IQ2_XXS', iq2_xxs),
  blockwise('IQ2_XS', iq2_xs),
  blockwise('IQ2_S', iq2_s),
  blockwise('IQ3_XXS', iq3_xxs),
  blockwise('IQ3_S', iq3_s),
  blockwise('IQ1_S', iq1_s),
  blockwise('IQ1_M', iq1_m),
];
