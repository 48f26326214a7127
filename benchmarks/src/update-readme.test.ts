import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { updateReadme } from './update-readme.js';

test('each part goes between its marks, and nothing else changes', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'lbs-readme-'));
  try {
    const path = join(folder, 'README.md');
    const marked = (name: string, text: string) => `<!-- ${name}:begin -->\n${text}\n<!-- ${name}:end -->\n`;
    writeFileSync(path, `a\n${marked('table', 'old')}b\n${marked('ablation', 'old')}c\n`);
    await updateReadme(pathToFileURL(path), { ablation: 'costs $1', table: 'new' });
    expect(readFileSync(path, 'utf8')).toBe(
      `a\n${marked('table', 'new')}b\n${marked('ablation', 'costs $1')}c\n`,
    );
    await expect(updateReadme(pathToFileURL(path), { other: '' })).rejects.toThrow('no marks for "other"');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
