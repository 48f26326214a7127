import { MalformedFileError } from '@lbs/format';
import type { JsonObject } from '../config/json-file.js';
import { byteIds, byteTokens, type TokenModel } from './token-model.js';

/** How far below the least score of the vocabulary a character lies that is not in it. */
const UNKNOWN_PENALTY = 10;

/**
 * The unigram language model (Kudo 2018, arXiv 1804.10959): of all ways to take a word apart the one with the greatest sum of
 * scores, found by Viterbi's algorithm. Unknown characters in a row become one unknown token, or tokens of their bytes. `vocab` was
 * checked. Throws MalformedFileError.
 */
export function createUnigram(json: JsonObject, file: string): TokenModel {
  const vocab = json['vocab'] as readonly (readonly [string, number])[];
  const unknown = (json['unk_id'] ?? undefined) as number | undefined;
  if (vocab.length === 0 || (unknown !== undefined && unknown >= vocab.length)) {
    throw new MalformedFileError(`unk_id ${unknown} is not among the ${vocab.length} tokens`, {
      file,
      mend: 'Check that the file is a tokenizer.json of Hugging Face tokenizers.',
    });
  }
  const ids = new Map(vocab.map(([token], id) => [token, id]));
  const scores = Float64Array.from(vocab, ([, score]) => score);
  const unknownScore = scores.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY) - UNKNOWN_PENALTY;
  const longest = vocab.reduce((most, [token]) => Math.max(most, token.length), 0);
  const bytes = json['byte_fallback'] === true ? byteTokens((token) => ids.get(token)) : undefined;

  /** Where the last token of the best way to each place begins. */
  const begins = (word: string): Int32Array => {
    const best = new Float64Array(word.length + 1);
    const begin = new Int32Array(word.length + 1).fill(-1);
    const offer = (from: number, to: number, score: number) => {
      const candidate = best[from]! + score;
      if (begin[to] !== -1 && candidate <= best[to]!) return;
      best[to] = candidate;
      begin[to] = from;
    };
    for (let at = 0; at < word.length; ) {
      const character = word.codePointAt(at)! > 0xffff ? 2 : 1;
      let hasCharacter = false;
      for (let end = at + 1; end <= Math.min(word.length, at + longest); end++) {
        const id = ids.get(word.slice(at, end));
        if (id === undefined) continue;
        offer(at, end, scores[id]!);
        if (end - at === character) hasCharacter = true;
      }
      if (!hasCharacter) offer(at, at + character, unknownScore);
      at += character;
    }
    return begin;
  };

  return {
    size: vocab.length,
    idOf: (token) => ids.get(token),
    tokenOf: (id) => vocab[id]?.[0],
    encode(word, target) {
      const begin = begins(word);
      const pieces: string[] = [];
      let fused = '';
      const flush = () => {
        if (fused !== '') pieces.push(fused);
        fused = '';
      };
      for (let end = word.length; end > 0; end = begin[end]!) {
        const piece = word.slice(begin[end]!, end);
        const id = ids.get(piece);
        if (id === undefined || id === unknown) {
          fused = piece + fused;
          continue;
        }
        flush();
        pieces.push(piece);
      }
      flush();
      for (const piece of pieces.reverse()) {
        const id = ids.get(piece);
        const known = id === undefined ? ((bytes && byteIds(piece, bytes)) ?? unknown) : id;
        if (known !== undefined) target.push(...(typeof known === 'number' ? [known] : known));
      }
    },
  };
}
