import { packingUnit } from './number-format.js';

const planeWidths = [8, 4, 2, 1] as const;

/**
 * Widths of the bit planes of a b-bit code, widest first. The first holds the lowest bits of the code, the
 * next one the bits above it: 3 = 2 + 1, 5 = 4 + 1, 7 = 4 + 2 + 1.
 */
export function bitPlanes(bits: number): number[] {
  return planeWidths.filter((width) => bits & width);
}

/**
 * Packs codes of `bits` bits into bit planes (SPEC 4). Each unit of 64 codes becomes its planes one after
 * another; a plane of p bits is 8p bytes, and field k of byte j holds code 8p * k + j.
 * `codes` is one row; a last unit that is not full is padded with code 0.
 */
export function packCodes(codes: Uint8Array, bits: number, target: Uint8Array, offset = 0): void {
  const planes = bitPlanes(bits);
  for (let start = 0; start < codes.length; start += packingUnit) {
    let shift = 0;
    for (const width of planes) {
      const bytes = 8 * width;
      const mask = (1 << width) - 1;
      for (let j = 0; j < bytes; j++) {
        let byte = 0;
        for (let k = 0; k < 8 / width; k++) {
          const code = codes[start + bytes * k + j] ?? 0;
          byte |= ((code >>> shift) & mask) << (width * k);
        }
        target[offset + j] = byte;
      }
      offset += bytes;
      shift += width;
    }
  }
}

/** Reverses `packCodes` for one row of `codes.length` codes that starts at `offset`. */
export function unpackCodes(packed: Uint8Array, bits: number, codes: Uint8Array, offset = 0): void {
  const planes = bitPlanes(bits);
  codes.fill(0);
  for (let start = 0; start < codes.length; start += packingUnit) {
    let shift = 0;
    for (const width of planes) {
      const bytes = 8 * width;
      const mask = (1 << width) - 1;
      for (let i = 0; i < packingUnit && start + i < codes.length; i++) {
        const field = packed[offset + (i % bytes)]! >>> (width * Math.floor(i / bytes));
        codes[start + i]! |= (field & mask) << shift;
      }
      offset += bytes;
      shift += width;
    }
  }
}

/** Packs a row's shared codes of `bits` bits, lowest bits of each byte first; the last byte is padded with 0. */
export function packSharedCodes(codes: Uint8Array, bits: number, target: Uint8Array, offset = 0): void {
  target.fill(0, offset, offset + Math.ceil((codes.length * bits) / 8));
  for (let block = 0; block < codes.length; block++) {
    for (let bit = 0; bit < bits; bit++) {
      const position = block * bits + bit;
      target[offset + (position >>> 3)]! |= ((codes[block]! >>> bit) & 1) << (position & 7);
    }
  }
}

/** Reverses `packSharedCodes`. */
export function unpackSharedCodes(packed: Uint8Array, bits: number, codes: Uint8Array, offset = 0): void {
  for (let block = 0; block < codes.length; block++) {
    let code = 0;
    for (let bit = 0; bit < bits; bit++) {
      const position = block * bits + bit;
      code |= ((packed[offset + (position >>> 3)]! >>> (position & 7)) & 1) << bit;
    }
    codes[block] = code;
  }
}
