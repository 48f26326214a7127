/** Takes words apart into tokens of a vocabulary. */
export interface TokenModel {
  /** Appends the ids of a word, which is not empty, to `ids`. */
  encode(word: string, ids: number[]): void;
  idOf(token: string): number | undefined;
  /** Token of an id, or undefined for an id that the vocabulary lacks. */
  tokenOf(id: number): string | undefined;
  /** One more than the highest id. */
  readonly size: number;
}

const utf8 = new TextEncoder();

/** Ids of the tokens `<0x00>` to `<0xFF>`, with which SentencePiece writes what has no token. */
export function byteTokens(idOf: (token: string) => number | undefined): readonly (number | undefined)[] {
  return Array.from({ length: 256 }, (_, byte) =>
    idOf(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`),
  );
}

/** Ids of the bytes of a text, or undefined where one of them has no token. */
export function byteIds(text: string, tokens: readonly (number | undefined)[]): number[] | undefined {
  const ids: number[] = [];
  for (const byte of utf8.encode(text)) {
    const id = tokens[byte];
    if (id === undefined) return undefined;
    ids.push(id);
  }
  return ids;
}
