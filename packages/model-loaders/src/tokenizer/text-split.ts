/** What becomes of the matches of a pattern that splits a text, as Hugging Face tokenizers name it. */
export type SplitBehavior = 'Removed' | 'Isolated' | 'MergedWithPrevious' | 'MergedWithNext' | 'Contiguous';

/** A part of a text, and whether it matches the pattern. */
interface Part {
  text: string;
  readonly matches: boolean;
}

type Join = (parts: readonly Part[]) => readonly Part[];

/** Joins neighbours of which `belongs` says that the second belongs to what the first began. */
function joined(parts: readonly Part[], belongs: (part: Part, previous: Part) => boolean): readonly Part[] {
  const result: Part[] = [];
  for (const [i, part] of parts.entries()) {
    const last = result.at(-1);
    if (last && belongs(part, parts[i - 1]!)) last.text += part.text;
    else result.push({ ...part });
  }
  return result;
}

const joins: Readonly<Record<SplitBehavior, Join>> = {
  Removed: (parts) => parts.filter(({ matches }) => !matches),
  Isolated: (parts) => parts,
  MergedWithPrevious: (parts) => joined(parts, (part, previous) => part.matches && !previous.matches),
  MergedWithNext: (parts) => joined(parts, (part, previous) => !part.matches && previous.matches),
  Contiguous: (parts) => joined(parts, (part, previous) => part.matches === previous.matches),
};

/** The names of the behaviors. */
export const splitBehaviors = Object.keys(joins) as readonly SplitBehavior[];

/** Splits a text at the matches of a pattern, or with `invert` at what lies between them. No part is empty. */
export function splitText(
  text: string,
  pattern: RegExp,
  behavior: SplitBehavior,
  invert = false,
): readonly string[] {
  const parts: Part[] = [];
  let end = 0;
  for (const { 0: match, index } of text.matchAll(pattern)) {
    if (match === '') continue;
    if (index > end) parts.push({ text: text.slice(end, index), matches: invert });
    parts.push({ text: match, matches: !invert });
    end = index + match.length;
  }
  if (end < text.length) parts.push({ text: text.slice(end), matches: invert });
  return joins[behavior](parts).map((part) => part.text);
}
