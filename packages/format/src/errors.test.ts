import { expect, test } from 'vitest';
import { LbsError, MalformedFileError } from './errors.js';

test('a message names file, tensor, problem and mend', () => {
  const error = new MalformedFileError('it is broken', { file: 'f', tensor: 't', mend: 'Mend it.' });
  expect(error.message).toBe('f, tensor "t": it is broken. Mend it.');
  expect(error).toMatchObject({ name: 'MalformedFileError', file: 'f', tensor: 't', mend: 'Mend it.' });
  expect(LbsError.isInstance(error)).toBe(true);
  expect(LbsError.isInstance(new Error('x'))).toBe(false);
});

test('a message shows control characters of a file and does not send them', () => {
  const tensor = '\u001b[2J\u009b1A';
  const error = new MalformedFileError(`the value is "a\nb\u0000"`, { tensor });
  expect(error.message).toBe('tensor "\\u001b[2J\\u009b1A": the value is "a\\u000ab\\u0000".');
  expect(error.tensor).toBe(tensor);
});

test('a message stays short, however long the names of a file are', () => {
  for (const long of ['x'.repeat(100_000), '\u0000'.repeat(100_000)]) {
    const error = new MalformedFileError(long, { file: long, tensor: long, mend: long });
    expect(error.message.length).toBeLessThan(2500);
  }
});
