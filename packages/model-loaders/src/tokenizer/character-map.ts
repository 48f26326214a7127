import { MalformedFileError } from '@lbs/format';

/** A map that is larger than this was not made by SentencePiece: its own have some hundred kilobytes. */
const MAX_MAP_CHARACTERS = 2 ** 24;

/** Graphemes of at least so many bytes are mapped character by character. */
const LONG_GRAPHEME_BYTES = 6;

/**
 * The normalization that SentencePiece compiles into a model: a trie of byte strings, a double array after Darts, and the
 * texts, each with a zero behind it, that take their places. The first, shortest match of a grapheme replaces all of it, as in
 * the Rust library. Throws MalformedFileError.
 */
export function parseCharacterMap(base64: unknown, file: string): (text: string) => string {
  const bytes = bytesOf(base64, file);
  const view = new DataView(bytes.buffer);
  const trieBytes = bytes.length < 4 ? 0 : view.getUint32(0, true);
  if (trieBytes === 0 || trieBytes % 4 !== 0 || trieBytes > bytes.length - 4) {
    throw malformed(`its trie of ${trieBytes} bytes is not inside of ${bytes.length} bytes`, file);
  }
  const trie = Uint32Array.from({ length: trieBytes / 4 }, (_, i) => view.getUint32(4 + 4 * i, true));
  const texts = bytes.subarray(4 + trieBytes);
  const utf8 = new TextEncoder();
  const decoder = new TextDecoder();
  const graphemes = new Intl.Segmenter();

  const find = (key: Uint8Array): string | undefined => {
    let node = offsetOf(trie[0]!);
    for (const byte of key) {
      node ^= byte;
      const unit = trie[node];
      if (byte === 0 || unit === undefined || (unit & 0x8000_00ff) !== byte) return undefined;
      node ^= offsetOf(unit);
      if ((unit & 0x100) === 0) continue;
      const begin = (trie[node] ?? 0) & 0x7fff_ffff;
      const end = texts.indexOf(0, begin);
      return begin < texts.length && end >= 0 ? decoder.decode(texts.subarray(begin, end)) : undefined;
    }
    return undefined;
  };
  const known = new Map<string, string>();
  const mapped = (grapheme: string): string => {
    const earlier = known.get(grapheme);
    if (earlier !== undefined) return earlier;
    const key = utf8.encode(grapheme);
    const whole = key.length < LONG_GRAPHEME_BYTES ? find(key) : undefined;
    const result =
      whole ?? Array.from(grapheme, (character) => find(utf8.encode(character)) ?? character).join('');
    if (known.size < 10_000) known.set(grapheme, result);
    return result;
  };
  return (text) => {
    let result = '';
    for (const { segment } of graphemes.segment(text)) result += mapped(segment);
    return result;
  };
}

/** Where the children of a node begin (Darts: 21 bits, shifted by 8 where bit 9 is set). */
function offsetOf(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6);
}

function bytesOf(base64: unknown, file: string): Uint8Array {
  if (typeof base64 !== 'string' || base64.length > MAX_MAP_CHARACTERS) {
    throw malformed('it is no text, or too long', file);
  }
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  } catch {
    throw malformed('it is not base64', file);
  }
}

function malformed(problem: string, file: string): MalformedFileError {
  return new MalformedFileError(`the precompiled_charsmap cannot be read: ${problem}`, {
    file,
    mend: 'Check that the file is a tokenizer.json of Hugging Face tokenizers.',
  });
}
