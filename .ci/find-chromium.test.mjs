import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findChromium } from './find-chromium.mjs';

let folder;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lbs-chromium-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function installs(name, mode = 0o755) {
  const path = join(folder, name);
  writeFileSync(path, '', { mode });
  return path;
}

test('the path is searched by folder, then by name', () => {
  const chrome = installs('google-chrome');
  const path = ['/nowhere', folder].join(delimiter);
  expect(findChromium({ PATH: path })).toBe(chrome);
  const chromium = installs('chromium');
  expect(findChromium({ PATH: path })).toBe(chromium);
});

test('CHROMIUM_PATH comes before the path, and must be a program', () => {
  installs('chromium');
  const own = installs('own-build');
  expect(findChromium({ PATH: folder, CHROMIUM_PATH: own })).toBe(own);
  const text = installs('notes.txt', 0o644);
  expect(() => findChromium({ PATH: folder, CHROMIUM_PATH: text })).toThrow(`CHROMIUM_PATH is ${text}`);
});
