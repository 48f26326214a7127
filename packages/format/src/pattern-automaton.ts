import { type CharacterTest, type PatternNode, PatternSyntaxError } from './pattern-syntax.js';

/** Counted repetitions multiply the states of what they repeat; each character of a name visits every state once. */
const mostStates = 1024;

/** A state reads one character that its test accepts, or reads nothing and goes on at all of `next`. */
interface State {
  readonly test?: CharacterTest;
  readonly next: number[];
}

/**
 * Makes a matcher of whole names that follows all ways through the pattern at once (Thompson 1968), so that its time
 * is bounded by states times characters, which that of a backtracking RegExp is not. Throws PatternSyntaxError where
 * the pattern has too many states.
 */
export function compilePattern(pattern: PatternNode): (name: string) => boolean {
  const states: State[] = [];
  const add = (state: State): number => {
    if (states.length === mostStates) throw new PatternSyntaxError(`needs more than ${mostStates} states`);
    return states.push(state) - 1;
  };

  /** Adds the states of `node` in front of the state `next`. Gives the first. */
  function build(node: PatternNode, next: number): number {
    switch (node.kind) {
      case 'character':
        return add({ test: node.test, next: [next] });
      case 'sequence':
        return node.parts.reduceRight((behind, part) => build(part, behind), next);
      case 'choice':
        return add({ next: node.branches.map((branch) => build(branch, next)) });
      case 'repetition':
        return buildRepetition(node, next);
    }
  }

  function buildRepetition(
    { body, least, most }: PatternNode & { kind: 'repetition' },
    next: number,
  ): number {
    let first = next;
    if (most === Number.POSITIVE_INFINITY) {
      const loop: State = { next: [next] };
      first = add(loop);
      loop.next.push(build(body, first));
    } else {
      // From the back: each optional one may be followed by the next one or leave at once.
      for (let i = least; i < most; i++) first = add({ next: [next, build(body, first)] });
    }
    for (let i = 0; i < least; i++) first = build(body, first);
    return first;
  }

  const accepting = add({ next: [] });
  const start = build(pattern, accepting);
  return (name) => isMatch(states, start, accepting, name);
}

function isMatch(states: readonly State[], start: number, accepting: number, name: string): boolean {
  let reached = new Set<number>();
  let waiting: number[] = [start];
  for (const character of name) {
    reached = closure(states, waiting);
    if (reached.size === 0) return false;
    const code = character.codePointAt(0)!;
    waiting = [];
    for (const index of reached) {
      const { test, next } = states[index]!;
      if (test?.(code)) waiting.push(...next);
    }
  }
  return closure(states, waiting).has(accepting);
}

/** The states that are reached from these without reading a character, themselves included. */
function closure(states: readonly State[], from: readonly number[]): Set<number> {
  const reached = new Set(from);
  // A set is walked in the order in which it grows, so that what is added here is walked too.
  for (const index of reached) {
    const { test, next } = states[index]!;
    if (!test) for (const following of next) reached.add(following);
  }
  return reached;
}
