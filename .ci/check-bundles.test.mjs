import { expect, test } from 'vitest';
import { measureBundle } from './check-bundles.mjs';

test('a bundle is measured minified and gzipped', async () => {
  const code = 'export const sum = (first, second) => first + second;';
  const { minified, gzipped, problems } = await measureBundle({ code, budget: 1000 });
  expect(problems).toEqual([]);
  expect(minified).toBeLessThan(code.length);
  expect(gzipped).toBeGreaterThan(20);
});

test('the numbers of tables can be left out', async () => {
  const code = "export { sharedLloydLevelTable6 } from '@lbs/format';";
  const whole = await measureBundle({ code, budget: 1000 });
  const { minified } = await measureBundle({ code, budget: 1000, withoutTables: true });
  expect(whole.minified - minified).toBeGreaterThan(64 * 2);
});

test('a bundle over its budget is a problem', async () => {
  const { gzipped } = await measureBundle({ code: 'export const a = 1;', budget: 1000 });
  const { problems } = await measureBundle({ code: 'export const a = 1;', budget: gzipped - 5 });
  expect(problems).toEqual(['over its budget of 0.0 kB by 5 bytes']);
});

test('a file of which something is in a bundle that must not be is a problem', async () => {
  const absent = ['/kernels/dist/generated/packing-wasm.js'];
  const code = (name) => `export { ${name} } from '@lbs/kernels';`;
  const using = await measureBundle({ code: code('CodePacking'), budget: 1e6, absent });
  expect(using.problems).toEqual([
    'holds packages/kernels/dist/generated/packing-wasm.js, which it does not use',
  ]);
  const other = await measureBundle({ code: code('LinearAlgebra'), budget: 1e6, absent });
  expect(other.problems).toEqual([]);
});

test.each([
  ["import { readFile } from 'node:fs/promises';\nexport { readFile };", 'node:fs/promises'],
  ["import 'fs';", 'fs'],
  ["export async function read() { try { return await import('node:fs'); } catch {} }", 'node:fs'],
])('a bundle that needs a module of Node is a problem: %s', async (code, name) => {
  const { problems } = await measureBundle({ code, budget: 1000 });
  expect(problems).toEqual([expect.stringMatching(`:1: imports ${name}, which is a module of Node`)]);
});
