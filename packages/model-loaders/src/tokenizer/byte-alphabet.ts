/**
 * The characters that byte-level BPE writes bytes with, by byte: printable Latin-1 characters stand for themselves,
 * the others for U+0100 and following, in order (GPT-2's `bytes_to_unicode`).
 */
export const byteAlphabet: readonly string[] = Array.from({ length: 256 }, (_, byte) => {
  if (isPrintable(byte)) return String.fromCharCode(byte);
  let earlier = 0;
  for (let other = 0; other < byte; other++) if (!isPrintable(other)) earlier++;
  return String.fromCharCode(0x100 + earlier);
});

function isPrintable(byte: number): boolean {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad);
}
