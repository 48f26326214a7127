import { expect, test } from 'vitest';

// Without it there is no shared memory, and so no thread pool to test.
test('the page is isolated from other origins', () => {
  expect(crossOriginIsolated).toBe(true);
  expect(new SharedArrayBuffer(8).byteLength).toBe(8);
});
