import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  findMemoryFlags,
  moduleProblems,
  sharedExports,
  sizeLimit,
  wasmModules,
} from '../packages/kernels/scripts/wasm-modules.mjs';
import { repositoryRoot } from './workspace.mjs';

const header = [0, 97, 115, 109, 1, 0, 0, 0];
const memory = (flags) => [
  ...[2, 18, 1, 3, ...Buffer.from('env'), 6, ...Buffer.from('memory')],
  ...[2, flags, 1, 128, 128, 4],
];
/** One segment: the byte 7 at address 0. */
const data = [11, 7, 1, 0, 65, 0, 11, 1, 7];
/** `void name()`. */
const exporting = (name) => [
  ...[1, 4, 1, 96, 0, 0, 3, 2, 1, 0],
  ...[7, 4 + name.length, 1, name.length, ...Buffer.from(name), 0, 0],
  ...[10, 4, 1, 2, 0, 11],
];
/** A section that engines skip, of `bytes` bytes with its name. */
const custom = (bytes) => [
  0,
  (bytes & 127) | 128,
  (bytes >> 7) | 128,
  bytes >> 14,
  1,
  120,
  ...Array(bytes - 2).fill(0),
];
const moduleOf = (...parts) => Uint8Array.from([header, ...parts].flat());

describe('what is wrong with a module', () => {
  test('nothing', () => {
    const bytes = moduleOf(memory(1));
    expect(WebAssembly.validate(bytes)).toBe(true);
    expect(moduleProblems(bytes)).toEqual([]);
    expect(bytes[findMemoryFlags(bytes)]).toBe(1);
  });

  test('its size', () => {
    const bytes = moduleOf(memory(1), custom(sizeLimit - 33));
    expect(WebAssembly.validate(bytes)).toBe(true);
    expect(bytes.length).toBe(sizeLimit - 1);
    expect(moduleProblems(bytes)).toEqual([]);
    expect(moduleProblems(moduleOf(memory(1), custom(sizeLimit - 32)))).toEqual([
      expect.stringMatching(/^takes 64000 bytes, and must take less than 64000/),
    ]);
  });

  test('its memory', () => {
    const problems = ['does not import a memory with a maximum as env.memory'];
    expect(moduleProblems(moduleOf())).toEqual(problems);
    expect(
      moduleProblems(moduleOf([2, 15, 1, 3, ...Buffer.from('env'), 6, ...Buffer.from('memory'), 2, 0, 1])),
    ).toEqual(problems);
  });

  test('data, which instances would write over the memory', () => {
    const bytes = moduleOf(memory(1), data);
    expect(WebAssembly.validate(bytes)).toBe(true);
    expect(moduleProblems(bytes)).toEqual([expect.stringMatching(/^holds data/)]);
  });
});

test('exports of more than one module are found', () => {
  const modules = ['one', 'two', 'one'].map((name) => moduleOf(exporting(name)));
  expect(sharedExports(modules)).toEqual(['one']);
  expect(sharedExports(modules.slice(1))).toEqual([]);
});

test.each(wasmModules)('the built module $name is good', ({ name }) => {
  expect(moduleProblems(readFileSync(join(repositoryRoot, `packages/kernels/wasm/${name}.wasm`)))).toEqual(
    [],
  );
});
