import { execFile } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';

/** Every JavaScript example of every README, run as a reader would run it from the root of the repository. */

const root = fileURLToPath(new URL('..', import.meta.url));
const packages = readdirSync(join(root, 'packages')).map((name) => `packages/${name}`);
const examples = ['.', ...packages, 'datasets'].flatMap((folder) => {
  const readme = readFileSync(join(root, folder, 'README.md'), 'utf8');
  const blocks = [...readme.matchAll(/```(?:js|ts)\n([\s\S]*?)```/g)].map((match) => match[1]);
  return blocks.map((code, i) => ({ name: `${folder}/README.md, example ${i + 1}`, code }));
});

// Beside node_modules, so that imports resolve; run in a folder of its own, so that what examples write goes there.
const sources = join(root, 'node_modules', '.cache', 'readme-examples');
mkdirSync(sources, { recursive: true });
const folder = mkdtempSync(join(tmpdir(), 'lbs-readme-'));
symlinkSync(join(root, 'datasets'), join(folder, 'datasets'));
afterAll(() => {
  rmSync(folder, { recursive: true });
  rmSync(sources, { recursive: true });
});

test.each(examples)('$name', async ({ name, code }) => {
  const file = join(sources, `${name.replaceAll(/\W+/g, '-')}.mjs`);
  writeFileSync(file, code);
  const { stderr } = await promisify(execFile)(process.execPath, [file], { cwd: folder });
  expect(stderr).toBe('');
});
