import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileModulePattern } from './module-pattern.js';

describe('module patterns', () => {
  test.each([
    ['re:a|b', ['a', 'b'], ['', 'ab', 'A']],
    ['re:.*\\.(q|k|v)_proj', ['x.q_proj', '.v_proj'], ['q_proj', 'x.q_proj2', 'x.qk_proj']],
    [
      're:model\\.layers\\.(\\d|1[0-5])\\.mlp',
      ['model.layers.0.mlp', 'model.layers.15.mlp'],
      ['model.layers.16.mlp'],
    ],
    ['re:(?:[a-z]+\\.)*\\w+', ['a.b.C_1', '_'], ['a..b', '', 'a.B.c']],
    ['re:a{2,3}b?c{0}', ['aa', 'aaab'], ['a', 'aaaa', 'aac']],
    ['re:(ab){2,}', ['abab', 'ababab'], ['ab', 'aba']],
    ['re:[^.\\d-]+', ['ab'], ['a.b', 'a1', 'a-b', '']],
    ['re:[-a]+', ['-a'], ['b']],
    ['re:^lm_head$', ['lm_head'], ['^lm_head$']],
    ['re:cost\\$', ['cost$'], ['cost']],
    ['re:(a*)*b', ['b', 'aab'], ['aa', '']],
    ['re:.', ['\u{1f600}', 'a'], ['', 'ab']],
    ['re:', [''], ['a']],
  ])('%s', (pattern, matching, others) => {
    const matches = compileModulePattern(pattern);
    for (const name of matching) expect(matches(name), name).toBe(true);
    for (const name of others) expect(matches(name), name).toBe(false);
  });

  test('without re: a pattern is a whole name', () => {
    expect(compileModulePattern('a.b')('a.b')).toBe(true);
    expect(compileModulePattern('a.b')('a-b')).toBe(false);
  });

  test('match as RegExp does', () => {
    const part = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '(a|b)', '(?:ab|a)', '\\d', '\\w');
    const repeated = fc.tuple(part, fc.constantFrom('', '*', '+', '?', '{2}', '{0,2}', '{1,}', '*?'));
    const source = fc
      .array(
        repeated.map((both) => both.join('')),
        { maxLength: 5 },
      )
      .map((parts) => parts.join(''));
    const name = fc.string({ unit: fc.constantFrom('a', 'b', '1', '.'), maxLength: 8 });
    fc.assert(
      fc.property(source, name, (pattern, module) => {
        const expected = new RegExp(`^(?:${pattern})$`, 'u').test(module);
        expect(compileModulePattern(`re:${pattern}`)(module)).toBe(expected);
      }),
      { numRuns: 1000 },
    );
  });

  test.each([
    [`re:${'a'.repeat(600)}`, /longer than 512/],
    ['re:(a{999}){999}', /more than 1024 states/],
    [`re:${'('.repeat(40)}${')'.repeat(40)}`, /deeper than 32/],
    ['re:[', /ends too early/],
    ['re:a)', /too many/],
    ['re:(a', /does not end/],
    ['re:(a)\\1', /escape "\\1"/],
    ['re:(?=a)', /group of a kind/],
    ['re:a**', /repeats a repetition/],
    ['re:*', /"\*" where/],
    ['re:a^b', /"\^" where/],
    ['re:a{1,2000}', /0 to 999/],
    ['re:a{3,2}', /\{m,n\}/],
    ['re:[b-a]', /descends/],
    ['re:[[:alpha:]]', /"\[" in a class/],
  ])('%s is refused', (pattern, problem) => {
    expect(() => compileModulePattern(pattern)).toThrow(problem);
    expect(() => compileModulePattern(pattern)).toThrow(
      expect.objectContaining({ code: 'LBS_INVALID_ARGUMENT' }),
    );
  });

  test.each(['(a|a)'.repeat(60), 'a?'.repeat(200), '.*'.repeat(100), '(a*)*'.repeat(50), '(((a+)+)+)+'])(
    'a long name does not lose itself in %s',
    (pattern) => {
      // A backtracking matcher would need more steps than there are atoms.
      expect(compileModulePattern(`re:${pattern}b`)(`${'a'.repeat(2000)}c`)).toBe(false);
    },
  );
});
