import { beforeAll, expect, test } from 'vitest';
import { readCorpus } from './corpus.mjs';
import { supervise } from './supervise.mjs';

const corpus = readCorpus();
const outcomes = new Map();

// In a thread of its own: a case that hangs ends it, and the tests of that case and of those behind it fail.
beforeAll(() =>
  supervise({ replay: true }, ({ kind, name, target, failure }) =>
    outcomes.set(
      kind === 'replayed' ? name : `of ${target}`,
      failure ?? 'accepted, or refused as it should be',
    ),
  ),
);

test.each(corpus)('$name no longer gives $found', ({ name }) => {
  expect(Object.fromEntries(outcomes)).toMatchObject({ [name]: 'accepted, or refused as it should be' });
});
