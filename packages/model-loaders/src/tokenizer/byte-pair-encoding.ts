import { MalformedFileError, UnsupportedError } from '@lbs/format';
import { describeValue, isJsonObject, type JsonObject } from '../config/json-file.js';
import { MergeQueue } from './merge-queue.js';
import { byteIds, byteTokens, type TokenModel } from './token-model.js';

/** Words that are remembered with their ids, and the longest of them: texts repeat their short words. */
const REMEMBERED_WORDS = 20_000;
const REMEMBERED_CHARACTERS = 128;

const NONE = -1;

/**
 * Byte-pair encoding (Sennrich et al. 2016) as the Rust library computes it: characters that have no token become
 * tokens of their bytes or the unknown token, or are dropped, and then the pair with the best merge is joined again and
 * again. `vocab` was checked. Throws MalformedFileError and UnsupportedError.
 */
export function createBytePairEncoding(json: JsonObject, file: string): TokenModel {
  for (const affix of ['continuing_subword_prefix', 'end_of_word_suffix']) {
    if ((json[affix] ?? '') !== '') {
      throw new UnsupportedError(`the tokenizer has the ${affix} ${describeValue(json[affix])}`, {
        file,
        mend: 'Known are tokenizers without it.',
      });
    }
  }
  const vocab = new Map(Object.entries(json['vocab'] as Record<string, number>));
  const tokens: (string | undefined)[] = [];
  for (const [token, id] of vocab) tokens[id] = token;
  const merges = new Merges(json['merges'], vocab, file);
  const unknownToken = json['unk_token'];
  const unknown = typeof unknownToken === 'string' ? vocab.get(unknownToken) : undefined;
  const fusesUnknown = json['fuse_unk'] === true;
  const ignoresMerges = json['ignore_merges'] === true;
  const bytes = json['byte_fallback'] === true ? byteTokens((token) => vocab.get(token)) : undefined;
  const queue = new MergeQueue();

  const charactersOf = (word: string): number[] => {
    const ids: number[] = [];
    let pending = false;
    const flush = () => {
      if (pending) ids.push(unknown!);
      pending = false;
    };
    for (const character of word) {
      const id = vocab.get(character);
      if (id !== undefined) {
        flush();
        ids.push(id);
        continue;
      }
      const fallback = bytes && byteIds(character, bytes);
      if (fallback) {
        ids.push(...fallback);
      } else if (unknown !== undefined) {
        if (!fusesUnknown) flush();
        pending = true;
      }
    }
    flush();
    return ids;
  };

  const encodeWord = (word: string): readonly number[] => {
    const whole = ignoresMerges ? vocab.get(word) : undefined;
    return whole === undefined ? merges.apply(charactersOf(word), queue) : [whole];
  };

  const remembered = new Map<string, readonly number[]>();
  return {
    size: tokens.length,
    idOf: (token) => vocab.get(token),
    tokenOf: (id) => tokens[id],
    encode(word, ids) {
      let found = remembered.get(word);
      if (!found) {
        found = encodeWord(word);
        if (word.length <= REMEMBERED_CHARACTERS) {
          if (remembered.size >= REMEMBERED_WORDS) remembered.clear();
          remembered.set(word, found);
        }
      }
      for (const id of found) ids.push(id);
    },
  };
}

/** The merges of a vocabulary, by their rank. */
class Merges {
  /** Rank by left * vocabulary + right. */
  private readonly ranks = new Map<number, number>();
  private readonly merged: number[] = [];
  private readonly span: number;

  constructor(json: unknown, vocab: ReadonlyMap<string, number>, file: string) {
    if (!Array.isArray(json)) throw malformed('merges', json, file);
    let span = 0;
    for (const id of vocab.values()) span = Math.max(span, id + 1);
    this.span = span;
    for (const merge of json) {
      const [left, right] = typeof merge === 'string' ? merge.split(' ') : Array.isArray(merge) ? merge : [];
      const ids = [left, right, `${left}${right}`].map((token) => vocab.get(token));
      if (ids.includes(undefined)) throw malformed('a merge of tokens that are not all there', merge, file);
      this.ranks.set(ids[0]! * span + ids[1]!, this.merged.length);
      this.merged.push(ids[2]!);
    }
  }

  /** Joins pairs until there is none that a merge joins. */
  apply(ids: number[], queue: MergeQueue): readonly number[] {
    const { length } = ids;
    if (length < 2) return ids;
    const next = Int32Array.from({ length }, (_, i) => (i + 1 < length ? i + 1 : NONE));
    const previous = Int32Array.from({ length }, (_, i) => i - 1);
    const rankAt = (position: number) => {
      const right = next[position]!;
      return right === NONE ? undefined : this.ranks.get(ids[position]! * this.span + ids[right]!);
    };
    const offer = (position: number) => {
      const rank = rankAt(position);
      if (rank !== undefined) queue.push(rank, position);
    };
    for (let i = 0; i + 1 < length; i++) offer(i);
    for (let best = queue.pop(); best; best = queue.pop()) {
      const { position } = best;
      // A pair that was there when it was queued may have become another one, or a part of one.
      const rank = ids[position] === NONE ? undefined : rankAt(position);
      if (rank === undefined || this.merged[rank] !== this.merged[best.rank]) continue;
      const right = next[position]!;
      ids[position] = this.merged[rank]!;
      ids[right] = NONE;
      const after = next[right]!;
      next[position] = after;
      if (after !== NONE) previous[after] = position;
      if (previous[position] !== NONE) offer(previous[position]!);
      offer(position);
    }
    return ids.filter((id) => id !== NONE);
  }
}

function malformed(what: string, value: unknown, file: string): MalformedFileError {
  const shown = Array.isArray(value) ? value.map(describeValue).join(' ').slice(0, 80) : describeValue(value);
  return new MalformedFileError(`${what}: ${shown}`, {
    file,
    mend: 'Check that the file is a tokenizer.json of Hugging Face tokenizers.',
  });
}

/** Whether the model of a tokenizer.json is one of this kind: old files do not name it. */
export function isBytePairEncoding({ type, vocab, merges }: JsonObject): boolean {
  return type === 'BPE' || (type === undefined && isJsonObject(vocab) && merges !== undefined);
}
