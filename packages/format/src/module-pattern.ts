import { InvalidArgumentError } from './errors.js';

/** Longest pattern, and most repetitions in one: patterns come from files, and matching must stay cheap. */
const longestPattern = 512;
const mostRepetitions = 8;

/**
 * Compiles a target of a recipe or `quantization_config`: a module name, or `re:` and a regular expression that
 * is matched against the whole name. A repetition of a parenthesised group, which could take exponential time,
 * is refused. Throws InvalidArgumentError that names the pattern.
 */
export function compileModulePattern(pattern: string): (module: string) => boolean {
  if (!pattern.startsWith('re:')) return (module) => module === pattern;
  const source = pattern.slice(3);
  const refuse = (problem: string) =>
    new InvalidArgumentError(`module pattern "${pattern.slice(0, 80)}" ${problem}`);
  if (source.length > longestPattern) throw refuse(`is longer than ${longestPattern} characters`);
  if (/\)[*+?{]/.test(source) || /\\[1-9k]/.test(source))
    throw refuse('repeats a group or refers back to one');
  if ((source.match(/[*+{]/g) ?? []).length > mostRepetitions) {
    throw refuse(`has more than ${mostRepetitions} repetitions`);
  }
  try {
    const expression = new RegExp(`^(?:${source})$`, 'u');
    return (module) => expression.test(module);
  } catch (cause) {
    throw new InvalidArgumentError(`module pattern "${pattern}" is not a regular expression`, { cause });
  }
}

/** Whether a module matches one of the patterns. Throws as `compileModulePattern`. */
export function matchesAny(patterns: readonly string[]): (module: string) => boolean {
  const matches = patterns.map(compileModulePattern);
  return (module) => matches.some((isMatch) => isMatch(module));
}
