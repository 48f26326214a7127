import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';

const bin = fileURLToPath(new URL('../dist/bin.js', import.meta.url));
const tiny = fileURLToPath(new URL('../../../datasets/tiny-lm', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'lbs-cli-hub-'));
const fakeHub = fileURLToPath(new URL('../../model-loaders/src/fixtures/fake-hub.mjs', import.meta.url));

/** A hub in a process of its own, and the requests that it had. */
const hub = spawn(process.execPath, [fakeHub, 'someone/tiny-lm', tiny, 'hf_x'], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
const requests: { server: string; range?: string }[] = [];
let endpoint: string;
beforeAll(async () => {
  const lines = createInterface({ input: hub.stdout });
  [endpoint] = (await once(lines, 'line')) as [string];
  lines.on('line', (line) => requests.push(JSON.parse(line)));
});
afterAll(() => {
  hub.kill();
  rmSync(folder, { recursive: true });
});

function lbs(args: readonly string[], more: NodeJS.ProcessEnv = {}) {
  const env = {
    ...process.env,
    NO_COLOR: '1',
    HF_ENDPOINT: endpoint,
    HF_HOME: folder,
    HF_TOKEN: 'hf_x',
    ...more,
  };
  return new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    execFile(process.execPath, [bin, ...args], { env, cwd: folder }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr });
    });
  });
}

const weightBytes = () =>
  requests.filter(({ server }) => server === 'cdn').map(({ range }) => range ?? 'all');

test('inspect reads the headers of a model of the hub, and downloads nothing', async () => {
  const { code, stdout } = await lbs(['inspect', 'someone/tiny-lm', '--json']);
  expect(code).toBe(0);
  const local = JSON.parse((await lbs(['inspect', tiny, '--json'])).stdout);
  expect(JSON.parse(stdout)).toEqual({ ...local, file: 'someone/tiny-lm' });
  const one = await lbs(['inspect', 'hf:someone/tiny-lm/model.safetensors', '--json']);
  expect(JSON.parse(one.stdout)).toMatchObject({ format: 'safetensors', tensors: local.tensors });
  expect(weightBytes().every((range) => range === 'bytes=0-262143')).toBe(true);
  expect(readdirSync(folder)).toEqual([]);
});

test('run downloads a model of the hub, says how much, and has it afterwards', async () => {
  const args = (model: string) => ['run', model, '--prompt', 'The old', '--max-tokens', '4', '--json'];
  const first = await lbs(args('someone/tiny-lm'));
  expect(first.stderr).toMatch(/^Downloading 0?\.?\d+(\.\d+)? \wB of someone\/tiny-lm\n/);
  expect(first.code).toBe(0);
  const before = requests.length;
  const second = await lbs(args('hf:someone/tiny-lm@main'), { HF_HUB_OFFLINE: '1' });
  expect(second.stderr).toBe('');
  const local = JSON.parse((await lbs(args(tiny))).stdout);
  for (const { stdout } of [first, second]) expect(JSON.parse(stdout).text).toBe(local.text);
  expect(requests.length).toBe(before);
});

test.each([
  [
    ['run', 'someone/other', '-p', 'x'],
    {},
    /lbs: someone\/other: there is no such file here, and the hub has no such model/,
  ],
  [['eval', 'hf:someone/tiny-lm@v9', '--text', bin], {}, /RevisionNotFound/],
  [['quantize', 'hf:someone/tiny-lm', '-o', 'out'], { HF_TOKEN: 'hf_y' }, /the server refuses access.*token/],
  [
    ['verify', 'someone/tiny-lm'],
    { HF_HOME: join(folder, 'other'), HF_HUB_OFFLINE: '1' },
    /not in the cache/,
  ],
  [['run', 'no-such-model', '-p', 'x'], {}, /no-such-model: the model cannot be opened \(ENOENT\)/],
] as const)('lbs %j is refused in one line', async (args, more, message) => {
  const { code, stderr } = await lbs(args, more);
  expect([code, stderr]).toEqual([1, expect.stringMatching(message)]);
  expect(stderr.trim().split('\n')).toHaveLength(1);
});
