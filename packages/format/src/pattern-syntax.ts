/** A test of one character, given as its code point. */
export type CharacterTest = (character: number) => boolean;

/** A part of a pattern: what may stand at one place of a name. */
export type PatternNode =
  | { readonly kind: 'character'; readonly test: CharacterTest }
  | { readonly kind: 'sequence'; readonly parts: readonly PatternNode[] }
  | { readonly kind: 'choice'; readonly branches: readonly PatternNode[] }
  | {
      readonly kind: 'repetition';
      readonly body: PatternNode;
      readonly least: number;
      readonly most: number;
    };

/** What is wrong with a pattern, as the end of a sentence about it. */
export class PatternSyntaxError extends Error {}

/** Groups inside of each other: each is a level of recursion. */
const deepestGroup = 32;

/** Characters that stand for something else unless a backslash is in front of them. */
const special = /[\\^$.*+?()[\]{}|]/;

const isDigit: CharacterTest = (c) => c >= 0x30 && c <= 0x39;
const isWord: CharacterTest = (c) =>
  isDigit(c) || c === 0x5f || (c >= 0x41 && c <= 0x5a) || (c >= 0x61 && c <= 0x7a);

const classes: Readonly<Record<string, CharacterTest>> = {
  d: isDigit,
  D: (c) => !isDigit(c),
  w: isWord,
  W: (c) => !isWord(c),
};

/** Parses the pattern language of SPEC 9. Throws PatternSyntaxError. */
export function parsePattern(source: string): PatternNode {
  // A whole name is matched in any case; many write the anchors all the same.
  const characters = [...source.replace(/^\^/, '').replace(/(?<!\\)\$$/, '')];
  let position = 0;
  const peek = () => characters[position];
  const take = () => {
    const character = characters[position++];
    if (character === undefined) throw new PatternSyntaxError('ends too early');
    return character;
  };
  const skip = (character: string) => {
    if (peek() !== character) return false;
    position++;
    return true;
  };

  function parseChoice(depth: number): PatternNode {
    if (depth > deepestGroup) throw new PatternSyntaxError(`nests groups deeper than ${deepestGroup}`);
    const branches = [parseSequence(depth)];
    while (skip('|')) branches.push(parseSequence(depth));
    return branches.length === 1 ? branches[0]! : { kind: 'choice', branches };
  }

  function parseSequence(depth: number): PatternNode {
    const parts: PatternNode[] = [];
    while (position < characters.length && peek() !== '|' && peek() !== ')') {
      parts.push(parseRepetition(parseAtom(depth)));
    }
    return { kind: 'sequence', parts };
  }

  function parseAtom(depth: number): PatternNode {
    const character = take();
    if (character === '(') return parseGroup(depth);
    if (character === '[') return { kind: 'character', test: parseClass() };
    if (character === '.') return { kind: 'character', test: () => true };
    if (character === '\\') return { kind: 'character', test: parseEscape() };
    if (special.test(character)) throw new PatternSyntaxError(`has "${character}" where no such sign can be`);
    return { kind: 'character', test: equal(character) };
  }

  function parseGroup(depth: number): PatternNode {
    if (skip('?') && !skip(':')) throw new PatternSyntaxError('has a group of a kind that is not known');
    const body = parseChoice(depth + 1);
    if (!skip(')')) throw new PatternSyntaxError('has a group that does not end');
    return body;
  }

  function parseRepetition(body: PatternNode): PatternNode {
    if (skip('*')) return repetition(body, 0, Number.POSITIVE_INFINITY);
    if (skip('+')) return repetition(body, 1, Number.POSITIVE_INFINITY);
    if (skip('?')) return repetition(body, 0, 1);
    if (!skip('{')) return body;
    const least = parseCount();
    const most = skip(',') ? (peek() === '}' ? Number.POSITIVE_INFINITY : parseCount()) : least;
    if (!skip('}') || most < least)
      throw new PatternSyntaxError('has a repetition that is not {m}, {m,} or {m,n}');
    return repetition(body, least, most);
  }

  function repetition(body: PatternNode, least: number, most: number): PatternNode {
    // Lazy or greedy, the same whole names match.
    skip('?');
    if (/[*+?{]/.test(peek() ?? '')) throw new PatternSyntaxError('repeats a repetition');
    return { kind: 'repetition', body, least, most };
  }

  function parseCount(): number {
    let digits = '';
    while (/\d/.test(peek() ?? '')) digits += take();
    if (digits.length < 1 || digits.length > 3)
      throw new PatternSyntaxError('has a count that is not 0 to 999');
    return Number(digits);
  }

  function parseEscape(): CharacterTest {
    const character = take();
    const known = Object.hasOwn(classes, character) ? classes[character] : undefined;
    if (!known && !special.test(character) && character !== '-' && character !== '/') {
      throw new PatternSyntaxError(`has the escape "\\${character}", which is not known`);
    }
    return known ?? equal(character);
  }

  function parseClass(): CharacterTest {
    const negated = skip('^');
    const tests: CharacterTest[] = [];
    while (peek() !== ']') {
      const first = take();
      if (first === '[') throw new PatternSyntaxError('has "[" in a class');
      if (first === '\\') {
        tests.push(parseEscape());
        continue;
      }
      if (peek() !== '-' || characters[position + 1] === ']') {
        tests.push(equal(first));
        continue;
      }
      position++;
      const [low, high] = [first.codePointAt(0)!, take().codePointAt(0)!];
      if (high < low) throw new PatternSyntaxError('has a range of characters that descends');
      tests.push((c) => c >= low && c <= high);
    }
    position++;
    return (c) => tests.some((test) => test(c)) !== negated;
  }

  const pattern = parseChoice(0);
  if (position < characters.length) throw new PatternSyntaxError('has a ")" too many');
  return pattern;
}

function equal(character: string): CharacterTest {
  const code = character.codePointAt(0)!;
  return (c) => c === code;
}
