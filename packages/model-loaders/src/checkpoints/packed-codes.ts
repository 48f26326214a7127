/**
 * Reads code `index` of a stream of `bits`-bit codes in 32-bit words, low bits first; a code may go on in the next word. The
 * words of the stream are `stride` apart, from `start` on.
 */
export function packedCode(
  words: Uint32Array,
  start: number,
  stride: number,
  bits: number,
  index: number,
): number {
  const bit = index * bits;
  const at = start + (bit >>> 5) * stride;
  const shift = bit & 31;
  let code = words[at]! >>> shift;
  if (shift + bits > 32) code |= words[at + stride]! << (32 - shift);
  return code & ((1 << bits) - 1);
}

/** 32-bit words that `count` codes of `bits` bits need. */
export function packedWords(count: number, bits: number): number {
  return Math.ceil((count * bits) / 32);
}
