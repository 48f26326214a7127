/**
 * SHA-256 of token ids as little-endian 32-bit integers, hexadecimal. Two evaluations are comparable only
 * when it is equal: most differences between reported perplexities are differences of tokenization. Undefined
 * where the platform has no Web Cryptography (pages that are not a secure context).
 */
export async function hashTokens(tokens: readonly number[]): Promise<string | undefined> {
  const bytes = new DataView(new ArrayBuffer(tokens.length * 4));
  tokens.forEach((token, index) => {
    bytes.setUint32(index * 4, token, true);
  });
  return sha256(bytes.buffer);
}

/** SHA-256 of a text's UTF-8 bytes, as `hashTokens`. */
export async function hashText(text: string): Promise<string | undefined> {
  return sha256(new TextEncoder().encode(text).buffer);
}

async function sha256(bytes: ArrayBuffer): Promise<string | undefined> {
  const subtle = globalThis.crypto?.subtle;
  if (!subtle) return undefined;
  const digest = new Uint8Array(await subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
