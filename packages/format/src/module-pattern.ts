import { InvalidArgumentError } from './errors.js';
import { compilePattern } from './pattern-automaton.js';
import { PatternSyntaxError, parsePattern } from './pattern-syntax.js';

/** Longest pattern, in characters: patterns come from files. */
const longestPattern = 512;

/**
 * Compiles a target of a recipe or `quantization_config`: a module name, or `re:` and a pattern for the whole name in
 * the language of SPEC 9, a part of every regular expression dialect. Matching takes at most time proportional to
 * pattern and name, whatever they are. Throws InvalidArgumentError that names the pattern.
 */
export function compileModulePattern(pattern: string): (module: string) => boolean {
  if (!pattern.startsWith('re:')) return (module) => module === pattern;
  const source = pattern.slice('re:'.length);
  const refuse = (problem: string, cause?: unknown) =>
    new InvalidArgumentError(`module pattern "${pattern.slice(0, 80)}" ${problem}`, {
      mend: 'SPEC.md of @lbs/format, section 9, says what a pattern can be.',
      cause,
    });
  if (source.length > longestPattern) throw refuse(`is longer than ${longestPattern} characters`);
  try {
    return compilePattern(parsePattern(source));
  } catch (error) {
    if (!(error instanceof PatternSyntaxError)) throw error;
    throw refuse(error.message, error);
  }
}

/** Whether a module matches one of the patterns. Throws as `compileModulePattern`. */
export function matchesAny(patterns: readonly string[]): (module: string) => boolean {
  const matches = patterns.map(compileModulePattern);
  return (module) => matches.some((isMatch) => isMatch(module));
}
