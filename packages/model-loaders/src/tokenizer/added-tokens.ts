import { isJsonObject, type JsonObject } from '../config/json-file.js';

/** A token that is found in a text before the text is split, such as `<|im_end|>`. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Only where no letter, digit or underscore is beside it. */
  readonly singleWord: boolean;
  /** Takes the white space on its left, on its right. */
  readonly takesLeft: boolean;
  readonly takesRight: boolean;
  /** Whether it is looked for behind the normalizer, which it went through itself. */
  readonly normalized: boolean;
  readonly special: boolean;
}

/** The `added_tokens` of a tokenizer.json, which were checked. */
export function parseAddedTokens(json: readonly unknown[]): readonly AddedToken[] {
  return json.filter(isJsonObject).map((token: JsonObject) => ({
    id: token['id'] as number,
    content: token['content'] as string,
    singleWord: token['single_word'] === true,
    takesLeft: token['lstrip'] === true,
    takesRight: token['rstrip'] === true,
    normalized:
      token['normalized'] === true || (token['normalized'] === undefined && token['special'] !== true),
    special: token['special'] === true,
  }));
}

/** A part of a text: a token, or what lies between two of them. */
export type TextPart = { readonly text: string } | { readonly token: AddedToken };

/** Character by character the contents that begin with it, which end where `token` is. */
interface Node {
  readonly next: Map<number, Node>;
  token?: AddedToken;
}

const wordEnd = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;
const wordBegin = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;
const space = /\p{White_Space}/u;

/** Finds the tokens in a text: at each place the longest, from left to right. */
export class AddedTokenSearch {
  private readonly root: Node = { next: new Map() };

  /** @param contents with the token that each stands for; none is empty */
  constructor(contents: readonly (readonly [string, AddedToken])[]) {
    for (const [content, token] of contents) {
      let node = this.root;
      for (let i = 0; i < content.length; i++) {
        const unit = content.charCodeAt(i);
        const next: Node = node.next.get(unit) ?? { next: new Map() };
        node.next.set(unit, next);
        node = next;
      }
      node.token ??= token;
    }
  }

  /** No text among the parts is empty. */
  split(text: string): readonly TextPart[] {
    if (this.root.next.size === 0) return text === '' ? [] : [{ text }];
    const parts: TextPart[] = [];
    let end = 0;
    for (let at = 0; at < text.length; ) {
      const found = this.at(text, at);
      if (!found) {
        at++;
        continue;
      }
      const { token } = found;
      let begin = at;
      let stop = found.end;
      at = found.end;
      if (token.singleWord && isInsideWord(text, begin, stop)) continue;
      if (token.takesLeft) while (begin > end && space.test(text[begin - 1]!)) begin--;
      if (token.takesRight) while (stop < text.length && space.test(text[stop]!)) stop++;
      if (begin > end) parts.push({ text: text.slice(end, begin) });
      parts.push({ token });
      end = stop;
      at = stop;
    }
    if (end < text.length) parts.push({ text: text.slice(end) });
    return parts;
  }

  private at(text: string, begin: number): { token: AddedToken; end: number } | undefined {
    let found: { token: AddedToken; end: number } | undefined;
    let node = this.root.next.get(text.charCodeAt(begin));
    for (let i = begin + 1; node; i++) {
      if (node.token) found = { token: node.token, end: i };
      node = i < text.length ? node.next.get(text.charCodeAt(i)) : undefined;
    }
    return found;
  }
}

function isInsideWord(text: string, begin: number, end: number): boolean {
  return wordEnd.test(text.slice(Math.max(begin - 2, 0), begin)) || wordBegin.test(text.slice(end, end + 2));
}
