import { float16At, uint16At } from './gguf-block-fields.js';
import { type BlockDequantizer, blockwise } from './gguf-dequantizer.js';

/** The levels of IQ4_NL and IQ4_XS. */
export const nonLinearLevels = Int8Array.of(
  -127,
  -104,
  -83,
  -65,
  -49,
  -35,
  -22,
  -10,
  1,
  13,
  25,
  38,
  53,
  69,
  89,
  113,
);

/** Twice the values of E2M1, the element type of MXFP4 (OCP Microscaling Formats 1.0, section 5.3.3) and NVFP4. */
const doubledE2m1 = Int8Array.of(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12);

/** Writes the `2 * half` elements of as many nibbles: element j from the low half of byte j, j + half from the high. */
function writeLevels(
  levels: Int8Array,
  scale: number,
  bytes: Uint8Array,
  offset: number,
  half: number,
  target: Float32Array,
  index: number,
): void {
  for (let j = 0; j < half; j++) {
    const pair = bytes[offset + j]!;
    target[index + j] = scale * levels[pair & 15]!;
    target[index + j + half] = scale * levels[pair >> 4]!;
  }
}

/** f16 scale, 4-bit codes. */
const iq4_nl: BlockDequantizer = (bytes, offset, target, index) =>
  writeLevels(nonLinearLevels, float16At(bytes, offset), bytes, offset + 2, 16, target, index);

/** f16 scale of scales, the high bit pairs of 8 6-bit scales that count from -32, their low halves, 4-bit codes. */
const iq4_xs: BlockDequantizer = (bytes, offset, target, index) => {
  const scales = float16At(bytes, offset);
  const highBits = uint16At(bytes, offset + 2);
  for (let block = 0; block < 8; block++) {
    const low = (bytes[offset + 4 + (block >> 1)]! >> (4 * (block & 1))) & 15;
    const scale = scales * ((low | (((highBits >> (2 * block)) & 3) << 4)) - 32);
    writeLevels(nonLinearLevels, scale, bytes, offset + 8 + block * 16, 16, target, index + block * 32);
  }
};

/** E8M0 scale (an exponent alone, biased by 127; one less as the levels are doubled), 4-bit codes. */
const mxfp4: BlockDequantizer = (bytes, offset, target, index) =>
  writeLevels(doubledE2m1, 2 ** (bytes[offset]! - 128), bytes, offset + 1, 16, target, index);

/** Half the value of an unsigned E4M3 number, as the levels are doubled. The sign bit is ignored, 0x7f is zero. */
function halfOfE4m3(bits: number): number {
  if (bits === 0x7f) return 0;
  const exponent = (bits >> 3) & 15;
  const mantissa = bits & 7;
  return exponent === 0 ? mantissa * 2 ** -10 : (8 + mantissa) * 2 ** (exponent - 11);
}

/** Four E4M3 scales, the 4-bit codes of 16 elements each. */
const nvfp4: BlockDequantizer = (bytes, offset, target, index) => {
  for (let block = 0; block < 4; block++) {
    const scale = halfOfE4m3(bytes[offset + block]!);
    writeLevels(doubledE2m1, scale, bytes, offset + 4 + block * 8, 8, target, index + block * 16);
  }
};

/** The types whose 4-bit codes choose from 16 levels that are not evenly spaced. */
export const tableDequantizers = [
  blockwise('IQ4_NL', iq4_nl),
  blockwise('IQ4_XS', iq4_xs),
  blockwise('MXFP4', mxfp4),
  blockwise('NVFP4', nvfp4),
];
