import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';

const bin = fileURLToPath(new URL('../dist/bin.js', import.meta.url));
const datasets = (path: string) => fileURLToPath(new URL(`../../../datasets/${path}`, import.meta.url));
const tiny = datasets('tiny-lm');
const folder = mkdtempSync(join(tmpdir(), 'lbs-export-'));
const at = (name: string) => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true }));

function lbs(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((done) => {
    execFile(
      process.execPath,
      [bin, ...args],
      { env: { ...process.env, NO_COLOR: '1' } },
      (error, stdout, stderr) => {
        done({ code: error ? Number(error.code) : 0, stdout, stderr });
      },
    );
  });
}

async function resultOf(...args: string[]) {
  const { code, stdout, stderr } = await lbs(...args, '--json');
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return JSON.parse(stdout);
}

describe('lbs export', () => {
  test('writes a file on which the model computes the same', async () => {
    const file = at('tiny.gguf');
    const result = await resultOf('export', tiny, '--gguf', 'F32', '-o', file);
    expect(result).toMatchObject({
      file,
      type: 'F32',
      bytes: statSync(file).size,
      tensors: 21,
      warnings: [],
    });
    expect(result.seconds).toBeGreaterThan(0);
    writeFileSync(at('text.txt'), readFileSync(datasets('texts/held-out.txt'), 'utf8').slice(0, 1500));
    // Perplexity has all digits of the logits; the divergence is 0 where no logit differs at all.
    const evaluation = ['--text', at('text.txt'), '--context', '64', '--chunks', '3'];
    const original = await resultOf('eval', tiny, ...evaluation);
    const written = await resultOf('eval', file, '--reference', tiny, ...evaluation);
    expect(written.perplexity).toEqual(original.perplexity);
    expect(written.kld).toMatchObject({ mean: 0, topAgreement: 1 });
    const run = ['--prompt', 'The old man', '--max-tokens', '8'];
    expect((await resultOf('run', file, ...run)).text).toBe((await resultOf('run', tiny, ...run)).text);
  });

  test('says what a second rounding loses', async () => {
    const quantized = at('tiny-int8');
    await resultOf('quantize', tiny, '--preset', 'int8', '-o', quantized);
    const { code, stdout, stderr } = await lbs('export', quantized, '--gguf', 'Q4_0', '-o', at('twice.gguf'));
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /^lbs: 14 matrices are quantized as int8\S* already and are rounded again to Q4_0/,
    );
    expect(stdout).toContain('twice.gguf');
    const { warnings } = await resultOf('export', quantized, '--gguf', 'F16', '-o', at('once.gguf'));
    expect(warnings).toEqual([]);
  });

  test('does not touch what is there unless it is told to', async () => {
    writeFileSync(at('there.gguf'), 'precious');
    const run = (...args: string[]) => lbs('export', tiny, '--gguf', 'Q8_0', ...args);
    expect(await run('-o', at('there.gguf'))).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('--force'),
    });
    expect(readFileSync(at('there.gguf'), 'utf8')).toBe('precious');
    expect((await run('-o', at('there.gguf'), '--force')).code).toBe(0);
    expect(statSync(at('there.gguf')).size).toBeGreaterThan(1000);
    const itself = await lbs('export', at('there.gguf'), '--gguf', 'F16', '-o', at('there.gguf'), '--force');
    expect(itself).toMatchObject({ code: 1, stderr: expect.stringContaining('where the model is') });
    const before = readdirSync(folder);
    expect((await lbs('export', tiny, '--gguf', 'Q3_K', '-o', at('no.gguf'))).code).toBe(1);
    expect((await lbs('export', at('none'), '--gguf', 'F16', '-o', at('no.gguf'))).code).toBe(1);
    expect(readdirSync(folder)).toEqual(before);
  });
});
