import { byteAlphabet } from './byte-alphabet.js';
import { textPattern } from './text-pattern.js';
import { createPart, malformedField, type PartFactory } from './tokenizer-part.js';

/** Turns tokens into pieces of text, which are joined. */
export type TokenDecoder = (tokens: readonly string[]) => readonly string[];

const utf8 = new TextEncoder();
const lossy = new TextDecoder('utf-8', { ignoreBOM: true });
const strict = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });

const byteOfCharacter = new Map(byteAlphabet.map((character, byte) => [character, byte]));

/** Bytes of a token that is written in the byte alphabet; a token that is not stands for its text. */
function bytesOfToken(token: string): Iterable<number> {
  const bytes: number[] = [];
  for (const character of token) {
    const byte = byteOfCharacter.get(character);
    if (byte === undefined) return utf8.encode(token);
    bytes.push(byte);
  }
  return bytes;
}

/** Text of bytes, or where they are no UTF-8 a replacement character for each. */
function textOfBytes(bytes: readonly number[]): string {
  try {
    return strict.decode(Uint8Array.from(bytes));
  } catch {
    return '\ufffd'.repeat(bytes.length);
  }
}

/** By the types of tokenizer.json. */
const factories: Readonly<Record<string, PartFactory<TokenDecoder>>> = {
  Sequence({ decoders }, file) {
    if (!Array.isArray(decoders)) throw malformedField('decoders', decoders, file);
    const all = decoders.map((json) => createTokenDecoder(json, file));
    return (tokens) => all.reduce((pieces, next) => next(pieces), tokens);
  },
  ByteLevel: () => (tokens) => {
    const bytes: number[] = [];
    for (const token of tokens) for (const byte of bytesOfToken(token)) bytes.push(byte);
    return [lossy.decode(Uint8Array.from(bytes))];
  },
  ByteFallback: () => (tokens) => {
    const pieces: string[] = [];
    let bytes: number[] = [];
    const flush = () => {
      if (bytes.length > 0) pieces.push(textOfBytes(bytes));
      bytes = [];
    };
    for (const token of tokens) {
      const [, hex] = /^<0x([0-9A-Fa-f]{2})>$/.exec(token) ?? [];
      if (hex !== undefined) {
        bytes.push(Number.parseInt(hex, 16));
        continue;
      }
      flush();
      pieces.push(token);
    }
    flush();
    return pieces;
  },
  Fuse: () => (tokens) => [tokens.join('')],
  Strip({ content, start, stop }, file) {
    if (typeof content !== 'string') throw malformedField('the content of a Strip', content, file);
    const [atStart, atStop] = [Number(start ?? 0), Number(stop ?? 0)];
    return (tokens) =>
      tokens.map((token) => {
        let begin = 0;
        while (begin < atStart && token.startsWith(content, begin)) begin++;
        let end = token.length;
        while (token.length - end < atStop && end > begin && token[end - 1] === content) end--;
        return token.slice(begin, end);
      });
  },
  Replace({ pattern, content }, file) {
    if (typeof content !== 'string') throw malformedField('the content of a Replace', content, file);
    const found = textPattern(pattern, file);
    return found
      ? (tokens) => tokens.map((token) => token.replace(found, () => content))
      : (tokens) => tokens;
  },
  Metaspace(json, file) {
    const { replacement = '▁', add_prefix_space: prefix } = json;
    if (typeof replacement !== 'string' || replacement === '')
      throw malformedField('replacement', replacement, file);
    const scheme = json['prepend_scheme'] ?? (prefix === false ? 'never' : 'always');
    return (tokens) =>
      tokens.map((token, i) => token.replaceAll(replacement, i === 0 && scheme !== 'never' ? '' : ' '));
  },
};

/** Makes the decoder of a tokenizer.json; without one, tokens have spaces between. Throws UnsupportedError and MalformedFileError. */
export function createTokenDecoder(json: unknown, file: string): TokenDecoder {
  if (json === null || json === undefined) return (tokens) => [tokens.join(' ')];
  return createPart('decoder', factories, json, file);
}
