import { numberFromFloat16 } from '@lbs/format';

/*
 * Fields of a block, little-endian at any offset. A typed array of the buffer would need aligned offsets, and a
 * DataView is slower than the bytes.
 */

export function uint16At(bytes: Uint8Array, offset: number): number {
  return bytes[offset]! | (bytes[offset + 1]! << 8);
}

/** The 32 bits as a signed number: to be taken apart with `>>>`. */
export function bits32At(bytes: Uint8Array, offset: number): number {
  return uint16At(bytes, offset) | (uint16At(bytes, offset + 2) << 16);
}

export function int8At(bytes: Uint8Array, offset: number): number {
  return (bytes[offset]! << 24) >> 24;
}

export function float16At(bytes: Uint8Array, offset: number): number {
  return numberFromFloat16(uint16At(bytes, offset));
}
