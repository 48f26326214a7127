import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';

const bin = fileURLToPath(new URL('../dist/bin.js', import.meta.url));
const datasets = (path: string) => fileURLToPath(new URL(`../../../datasets/${path}`, import.meta.url));
const tiny = datasets('tiny-lm');
const folder = mkdtempSync(join(tmpdir(), 'lbs-cli-'));
const at = (name: string) => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true }));

function lbs(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [bin, ...args],
      { env: { ...process.env, NO_COLOR: '1' } },
      (error, stdout, stderr) => {
        resolve({ code: error ? Number(error.code) : 0, stdout, stderr });
      },
    );
  });
}

async function json(...args: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await lbs(...args, '--json');
  // A busy machine may be slow enough for lines of progress.
  expect(stderr.replace(/^\w+ +\d+ %,.*\n/gm, '')).toBe('');
  expect(code).toBe(0);
  return JSON.parse(stdout);
}

function sha256Of(directory: string): string {
  return createHash('sha256')
    .update(readFileSync(join(directory, 'model.safetensors')))
    .digest('hex');
}

/** Bytes of the tensors of a model directory. */
function dataBytes(directory: string): number {
  const file = readFileSync(join(directory, 'model.safetensors'));
  return file.length - 8 - Number(file.readBigUInt64LE());
}

/** A copy of the tiny model with something wrong. */
function damaged(name: string, damage: (directory: string) => void): string {
  cpSync(tiny, at(name), { recursive: true });
  damage(at(name));
  return at(name);
}

function editConfig(directory: string, change: Record<string, unknown>): void {
  const file = join(directory, 'config.json');
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), ...change }));
}

/** The tiny model by preset lbs-4, calibrated on a short text. */
function quantizeTiny(...more: readonly string[]) {
  return json('quantize', tiny, '--preset', 'lbs-4', '--calibration', at('text.txt'), ...more);
}

describe('a model on its way', async () => {
  writeFileSync(at('wrong.json'), '{"name": "mine", "rules": []}');
  writeFileSync(at('text.txt'), readFileSync(datasets('texts/held-out.txt'), 'utf8').slice(0, 4000));
  const quantized = at('tiny-lbs-4');

  test('quantize writes a model directory and reports what it holds', async () => {
    const result = await quantizeTiny('-o', quantized);
    expect(result).toMatchObject({ tensors: 14, bytes: statSync(join(quantized, 'model.safetensors')).size });
    expect(result['bitsPerWeight']).toBeGreaterThan(4.2);
    // Rows of 96 weights are padded to 128, and a row's base weighs more than in a real model.
    expect(result['bitsPerWeight']).toBeLessThan(6);
    expect(result['seconds']).toBeGreaterThan(0);
    expect(result['peakRssBytes']).toBeGreaterThan(1e6);
    expect(readdirSync(quantized).sort()).toEqual([
      'config.json',
      'model.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    const config = JSON.parse(readFileSync(join(quantized, 'config.json'), 'utf8'));
    expect(config).toMatchObject({
      model_type: 'llama',
      quantization_config: {
        quant_method: 'lbs',
        bits: 4,
        ignore: [],
        provenance: {
          tool: 'lbs',
          tool_version: expect.stringMatching(/^\d/),
          recipe: { name: 'lbs-4' },
          seed: null,
          calibration_sha256: createHash('sha256')
            .update(readFileSync(at('text.txt')))
            .digest('hex'),
          source: { name: 'tiny-lm', sha256: { 'model.safetensors': sha256Of(tiny) } },
        },
      },
    });
  });

  test('quantize --dry-run tells beforehand what it will give, and writes nothing', async () => {
    const before = readdirSync(folder);
    const estimate = await quantizeTiny('--dry-run');
    expect(readdirSync(folder)).toEqual(before);
    const result = await quantizeTiny('-o', at('estimated'));
    expect(estimate).toMatchObject({ dryRun: true, tensors: 14, weights: 141312 });
    const ratio = (field: string) => (estimate[field] as number) / (result[field] as number);
    expect(Math.abs(ratio('bitsPerWeight') - 1)).toBeLessThan(0.01);
    // Headers weigh more in a small model than in a real one.
    expect(ratio('bytes')).toBeGreaterThan(0.9);
    expect(ratio('bytes')).toBeLessThan(1);
    expect(estimate['seconds']).toBeGreaterThan(0);
    expect(estimate['peakRssBytes']).toBeGreaterThan(1e6);
    const { code, stderr } = await lbs('quantize', tiny);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/no output directory.*--dry-run/)]);
  });

  test('a reader may stop reading', async () => {
    const command = `"${process.execPath}" "${bin}" inspect "${quantized}" | head -n 1`;
    const { stdout, stderr } = await new Promise<{ stdout: string; stderr: string }>((resolve) => {
      execFile('sh', ['-c', command], (_, out, err) => resolve({ stdout: out, stderr: err }));
    });
    expect(stdout).not.toBe('');
    expect(stderr).toBe('');
  });

  test('a recipe that was printed quantizes as its preset does', async () => {
    const { stdout } = await lbs('quantize', tiny, '--preset', 'int4-g64', '--print-recipe');
    writeFileSync(at('recipe.json'), stdout);
    await json('quantize', tiny, '--recipe', at('recipe.json'), '-o', at('by-recipe'));
    await json('quantize', tiny, '--preset', 'int4-g64', '-o', at('by-preset'));
    expect(sha256Of(at('by-recipe'))).toBe(sha256Of(at('by-preset')));
  });

  test('lbs-mixed keeps to the bits, or to the size of the file', async () => {
    const calibration = ['--preset', 'lbs-mixed', '--calibration', at('text.txt')];
    const byRate = await json('quantize', tiny, ...calibration, '--bits', '5', '-o', at('by-rate'));
    expect(byRate['bitsPerWeight']).toBeLessThanOrEqual(5.01);
    expect(byRate['bitsPerWeight']).toBeGreaterThan(4.5);
    const smaller = Math.round(0.95 * dataBytes(at('by-rate')));
    await json('quantize', tiny, ...calibration, '--size', `${smaller}`, '-o', at('by-size'));
    // The code of the positions of salient weights has an expected length.
    expect(dataBytes(at('by-size'))).toBeLessThanOrEqual(1.01 * smaller);
    expect(dataBytes(at('by-size'))).toBeGreaterThan(0.85 * smaller);
    const run = await lbs('run', at('by-size'), '--max-tokens', '2', '--prompt', 'a');
    expect(run.code).toBe(0);
  });

  test('the same model and preset give the same bytes', async () => {
    await quantizeTiny('-o', at('again'));
    expect(
      readFileSync(join(at('again'), 'model.safetensors')).equals(
        readFileSync(join(quantized, 'model.safetensors')),
      ),
    ).toBe(true);
  });

  test('inspect lists its tensors, as a directory and as a file', async () => {
    const directory = await json('inspect', quantized);
    const file = await json('inspect', join(quantized, 'model.safetensors'));
    expect(directory).toMatchObject({ format: 'directory', metadata: { model_type: 'llama' } });
    expect(file).toMatchObject({ format: 'safetensors', metadata: { format: 'lbs' } });
    const tensors = file['tensors'] as { name: string; dtype: string; shape: number[]; bytes: number }[];
    expect(tensors).toContainEqual(
      expect.objectContaining({ name: 'model.layers.0.mlp.up_proj.weight_packed', dtype: 'U8' }),
    );
    expect(directory['tensors']).toHaveLength(tensors.length);
    const { bitsPerWeight } = await quantizeTiny('-o', at('for-inspection'));
    expect(directory['quantized']).toMatchObject({ matrices: 14, bitsPerWeight });
  });

  test('verify reads every tensor, and names those that are damaged', async () => {
    const { tensors } = (await json('inspect', quantized)) as { tensors: unknown[] };
    expect(await json('verify', quantized)).toMatchObject({
      tensors: tensors.length,
      ok: true,
      failures: [],
    });
    cpSync(quantized, at('bit-rot'), { recursive: true });
    const weights = join(at('bit-rot'), 'model.safetensors');
    const bytes = readFileSync(weights);
    bytes[bytes.length - 1]! ^= 0x10;
    writeFileSync(weights, bytes);
    const { code, stdout } = await lbs('verify', weights, '--json');
    expect([code, JSON.parse(stdout)]).toEqual([
      1,
      expect.objectContaining({ ok: false, failures: [expect.objectContaining({ file: weights })] }),
    ]);
    const [{ tensor, expected, found }] = JSON.parse(stdout).failures;
    expect(await lbs('verify', at('bit-rot'))).toMatchObject({
      code: 1,
      stdout: expect.stringContaining(`tensor "${tensor}": expected ${expected}, found ${found}`),
    });
  });

  test('a model in shards is the same model', async () => {
    const sharded = at('sharded');
    const { bytes } = await quantizeTiny('--max-shard-size', '60kB', '-o', sharded);
    const shards = readdirSync(sharded).filter((name) => name.endsWith('.safetensors'));
    expect(shards.length).toBeGreaterThan(2);
    expect(shards.reduce((sum, name) => sum + statSync(join(sharded, name)).size, 0)).toBe(bytes);
    expect(await json('verify', sharded)).toMatchObject({
      ok: true,
      files: shards.map((s) => join(sharded, s)),
    });
    const options = ['--prompt', 'Once upon a time', '--max-tokens', '8', '--temperature', '0'];
    expect((await json('run', sharded, ...options))['text']).toBe(
      (await json('run', quantized, ...options))['text'],
    );
  });

  test('eval gives perplexity, and KL divergence to a reference', async () => {
    const options = ['--text', at('text.txt'), '--protocol', 'llama.cpp', '--context', '64', '--chunks', '4'];
    const alone = await json('eval', quantized, ...options);
    expect(alone).toMatchObject({
      perplexity: { value: expect.any(Number), stderr: expect.any(Number) },
      tokens: 4 * 31,
    });
    expect(alone).not.toHaveProperty('kld');
    const { perplexity } = await json('eval', quantized, '--threads', '2', ...options);
    expect(perplexity).toEqual(alone['perplexity']);
    const compared = await json('eval', quantized, '--reference', tiny, ...options);
    expect(compared).toMatchObject({
      perplexity: alone['perplexity'],
      kld: { mean: expect.any(Number), p99: expect.any(Number), topAgreement: expect.any(Number) },
    });
    const { mean } = compared['kld'] as { mean: number };
    expect(mean).toBeGreaterThan(0);
    expect(mean).toBeLessThan(0.1);
    const itself = await json('eval', tiny, '--reference', tiny, ...options);
    expect(itself).toMatchObject({ kld: { mean: 0, topAgreement: 1 } });
  });

  test('eval reports tasks in the schema of lm-evaluation-harness', async () => {
    const result = await json(
      'eval',
      quantized,
      '--tasks',
      datasets('tasks/continuation.json'),
      '--limit',
      '5',
    );
    expect(result).toMatchObject({
      results: { continuation: { 'acc,none': expect.any(Number), 'acc_stderr,none': expect.any(Number) } },
      'n-samples': { continuation: { original: 1000, effective: 5 } },
    });
  });

  test('run continues a text, the same at temperature 0 every time', async () => {
    const options = ['--prompt', 'Once upon a time', '--max-tokens', '12', '--temperature', '0'];
    const first = await json('run', quantized, ...options);
    expect(first).toMatchObject({
      completionTokens: 12,
      promptTokens: expect.any(Number),
      text: expect.any(String),
    });
    expect(first['prefillTokensPerSecond']).toBeGreaterThan(0);
    expect(first['decodeTokensPerSecond']).toBeGreaterThan(0);
    expect((await json('run', quantized, ...options))['text']).toBe(first['text']);
    expect((await json('run', quantized, '--threads', '2', ...options))['text']).toBe(first['text']);
    const { stdout } = await lbs('run', quantized, ...options);
    expect(stdout).toBe(`${first['text']}\n`);
  });

  test('an output directory that exists is kept, unless --force replaces it', async () => {
    const { code, stderr } = await lbs('quantize', tiny, '--preset', 'int8', '-o', quantized);
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/tiny-lbs-4: the output directory exists.*--force/),
    ]);
    writeFileSync(join(quantized, 'stale.txt'), '');
    await json('quantize', tiny, '--preset', 'int8', '-o', quantized, '--force');
    expect(existsSync(join(quantized, 'stale.txt'))).toBe(false);
  });
});

describe('bad input gives one clear error and nothing half written', async () => {
  mkdirSync(at('not-a-model'));
  writeFileSync(at('empty.txt'), ' \n');
  writeFileSync(at('short.txt'), 'Once upon a time.');
  writeFileSync(at('latin1.txt'), Buffer.from([0x63, 0x61, 0x66, 0xe9]));
  const weights = (directory: string) => join(directory, 'model.safetensors');
  const truncated = damaged('truncated', (directory) => truncateSync(weights(directory), 5000));
  const scrambled = damaged('scrambled', (directory) =>
    writeFileSync(weights(directory), 'PK\x03\x04 this is no safetensors file'),
  );
  const unknown = damaged('unknown', (directory) =>
    editConfig(directory, { architectures: ['RwkvForCausalLM'], model_type: 'rwkv' }),
  );
  const misshapen = damaged('misshapen', (directory) => editConfig(directory, { intermediate_size: 161 }));
  const output = at('output');

  test.each([
    ['a missing model', ['quantize', at('nothing'), '-o', output], /nothing: .*ENOENT.* Check the path\./],
    [
      'a directory without a model',
      ['quantize', at('not-a-model'), '-o', output],
      /not-a-model.*config\.json/,
    ],
    ['a truncated file', ['quantize', truncated, '-o', output], /model\.safetensors.*: .*\./],
    ['a malformed header', ['quantize', scrambled, '-o', output], /model\.safetensors.*header/],
    ['an unknown architecture', ['quantize', unknown, '-o', output], /config\.json: .*(rwkv|Rwkv).*[Ll]lama/],
    [
      'a shape that does not fit',
      ['quantize', misshapen, '-o', output],
      /tensor "model\.layers\.0\.mlp\.(gate|up|down)_proj\.weight": .*161/,
    ],
    [
      'a budget for a preset of one format',
      ['quantize', tiny, '--bits', '3.5', '-o', output],
      /lbs-4 has no formats to choose from.*lbs-mixed/s,
    ],
    [
      'a budget too small for the formats',
      ['quantize', tiny, '--preset', 'lbs-mixed', '--size', '1kB', '-o', output],
      /smallest choices take/,
    ],
    [
      'a recipe that is not JSON',
      ['quantize', tiny, '--recipe', at('text.txt'), '-o', output],
      /text.txt.*not JSON/,
    ],
    [
      'a recipe with a wrong field',
      ['quantize', tiny, '--recipe', at('wrong.json'), '-o', output],
      /wrong.json.*rules/,
    ],
    ['an unknown preset', ['quantize', tiny, '--preset', 'lbs-9', '-o', output], /lbs-9.*lbs-4/],
    ['an empty text', ['eval', tiny, '--text', at('empty.txt')], /empty\.txt: the text is empty/],
    ['a text that is too short', ['eval', tiny, '--text', at('short.txt'), '--context', '64'], /128/],
    [
      'a text that is not UTF-8',
      ['eval', tiny, '--text', at('latin1.txt')],
      /latin1\.txt: the file is not UTF-8/,
    ],
    ['a missing text', ['eval', tiny, '--text', at('none.txt')], /none\.txt: .*ENOENT/],
    ['nothing to evaluate', ['eval', tiny], /--text or --tasks/],
    ['an unknown task', ['eval', tiny, '--tasks', 'arc'], /unknown task "arc".*piqa/],
    ['an empty prompt', ['run', datasets('reference-lm'), '--prompt', ''], /prompt/],
    [
      'a number that is none',
      ['run', tiny, '--prompt', 'x', '--max-tokens', 'many'],
      /--max-tokens.*whole number/,
    ],
    [
      'an option that does not exist',
      ['run', tiny, '--prompt', 'x', '--tempreature', '1'],
      /unknown option '--tempreature'/,
    ],
    [
      'a size that is none',
      ['quantize', tiny, '--max-shard-size', 'big', '-o', output],
      /--max-shard-size.*size such as 5GB/,
    ],
    ['verifying what has no checksums', ['verify', tiny], /no checksums.*publisher/],
    ['verifying a missing file', ['verify', at('nothing')], /ENOENT/],
    ['inspecting a truncated file', ['inspect', weights(truncated)], /model\.safetensors/],
  ])('%s', async (_, args, message) => {
    const before = readdirSync(folder);
    const { code, stdout, stderr } = await lbs(...args);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/bug|at .*\.js:\d/);
    expect([code, stdout]).toEqual([1, '']);
    expect(readdirSync(folder)).toEqual(before);
  });
});
