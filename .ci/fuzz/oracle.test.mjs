import { expect, test } from 'vitest';
import { supervise } from './supervise.mjs';

const targetsModule = new URL('fixtures/broken-targets.mjs', import.meta.url).href;

/** What the fuzzer says of a parser that breaks one rule. */
async function failuresOf(name, hangMilliseconds = 30_000) {
  const failures = [];
  const plan = [{ name, executions: 1, milliseconds: Number.POSITIVE_INFINITY }];
  const onMessage = (message) => message.kind === 'failure' && failures.push(message);
  await supervise({ seed: 1, plan }, onMessage, { targetsModule, hangMilliseconds });
  return failures;
}

test.each(['fine', 'refuses'])('a parser that %s has no failure', async (name) => {
  expect(await failuresOf(name)).toEqual([]);
});

test.each([
  ['untyped-error', /^untyped error: TypeError/],
  ['untyped-rejection', /^untyped error: TypeError/],
  ['unhandled-rejection', /^unhandled rejection: .*nobody listens/],
  ['large-buffer', /^allocation: 4398046511104 bytes of Float32Array/],
  ['hidden-large-buffer', /^allocation: 1073741824 bytes of Uint8Array/],
  ['slow', /^slow: \d+ ms/],
  ['long-message', /^message of 5000 characters/],
  ['control-characters', /^control characters/],
  ['hang', /^hang: more than 2 s/, 2000],
  ['full-heap', /^the thread died: ERR_WORKER_OUT_OF_MEMORY/],
])('%s is a failure, with the input that led to it', async (name, failure, hangMilliseconds) => {
  const failures = await failuresOf(name, hangMilliseconds);
  expect(failures).toEqual([
    expect.objectContaining({
      target: name,
      input: Uint8Array.of(1, 2, 3),
      failure: expect.stringMatching(failure),
    }),
  ]);
});
