import { type ChildProcess, spawn } from 'node:child_process';
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
import { jobDirectoryOf } from '@lbs/model-loaders/node';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';

const bin = fileURLToPath(new URL('../dist/bin.js', import.meta.url));
const preload = new URL('fixtures/signal-at.mjs', import.meta.url).href;
const datasets = (path: string) => fileURLToPath(new URL(`../../../datasets/${path}`, import.meta.url));
const tiny = datasets('tiny-lm');
const folder = mkdtempSync(join(tmpdir(), 'lbs-resume-'));
afterAll(() => rmSync(folder, { recursive: true }));
const [text, otherText] = ['text.txt', 'other-text.txt'].map((name) => join(folder, name)) as [
  string,
  string,
];
const heldOut = readFileSync(datasets('texts/held-out.txt'), 'utf8');
writeFileSync(text, heldOut.slice(0, 1500));
writeFileSync(otherText, heldOut.slice(1500, 3000));

/** All that jobs for this output put on the disk is in here. */
let parent: string;
let output: string;
let jobs = 0;
beforeEach(() => {
  parent = join(folder, `job-${jobs++}`);
  output = join(parent, 'model');
});

/** Where a run is interrupted: at an operation that changes the disk, behind so many finished units, or before an operation of that name. */
interface Interruption {
  readonly at?: number;
  readonly units?: number;
  readonly before?: RegExp;
  readonly signal?: 'SIGKILL' | 'SIGINT' | 'SIGSTOP';
}

interface Outcome {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stderr: string;
}

function start(
  args: readonly string[],
  { at, units, before, signal = 'SIGKILL' }: Interruption = {},
): { readonly child: ChildProcess; readonly outcome: Promise<Outcome> } {
  const env = {
    ...process.env,
    NO_COLOR: '1',
    SIGNAL_AT: String(at),
    UNITS: String(units),
    SIGNAL_BEFORE: before?.source,
    SIGNAL: signal,
  };
  const child = spawn(process.execPath, ['--import', preload, bin, 'quantize', ...args], { env });
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const outcome = new Promise<Outcome>((resolve) => {
    child.on('close', (code, ended) => resolve({ code, signal: ended, stderr }));
  });
  return { child, outcome };
}

const calibrated = ['--preset', 'lbs-3', '--calibration', text, '--threads', '1'];

const quantize = (args: readonly string[], interruption?: Interruption) =>
  start([tiny, '-o', output, ...args], interruption).outcome;

/** Every file of a directory with its bytes. */
function contentsOf(directory: string): Map<string, Buffer> {
  return new Map(
    readdirSync(directory)
      .sort()
      .map((name) => [name, readFileSync(join(directory, name))]),
  );
}

const operationsOf = ({ stderr }: Outcome) => Number(/operations: (\d+)/.exec(stderr)![1]);

/** What an uninterrupted run writes, and how many operations it takes. */
let expected: Map<string, Buffer>;
let operations: number;
beforeAll(async () => {
  const whole = join(folder, 'whole', 'model');
  const outcome = await start([tiny, '-o', whole, ...calibrated]).outcome;
  expect(outcome.code).toBe(0);
  expected = contentsOf(whole);
  operations = operationsOf(outcome);
  expect(readdirSync(join(folder, 'whole'))).toEqual(['model']);
});

describe('a job that was killed', () => {
  /** Spread over the run, and another place within each part every time that the operations change. */
  const points = 6;

  test.each(Array.from({ length: points }, (_, i) => i))(
    'goes on to the same bytes: point %i',
    async (point) => {
      const at = Math.ceil(((point + 0.5) / points) * operations);
      expect(await quantize(calibrated, { at })).toMatchObject({ signal: 'SIGKILL' });
      // What is there may be believed, so it is the whole result or nothing.
      if (readdirSync(parent).includes('model')) expect(contentsOf(output)).toEqual(expected);
      const { code, stderr } = await quantize(calibrated);
      expect([code, stderr]).toEqual([0, expect.not.stringContaining('anew')]);
      expect(contentsOf(output)).toEqual(expected);
      expect(readdirSync(parent)).toEqual(['model']);
    },
  );

  test('gets to its end although it is killed again and again', async () => {
    let kills = 0;
    for (; !existsSync(output) || existsSync(jobDirectoryOf(output)); kills++) {
      await quantize(calibrated, { at: Math.ceil(operations / 3) + 10 * kills });
    }
    expect(kills).toBeGreaterThan(1);
    expect(contentsOf(output)).toEqual(expected);
  });

  test('says where it goes on, on another number of threads too', async () => {
    await quantize(calibrated, { units: 1 });
    const { code, stderr } = await quantize([...calibrated.slice(0, -1), '2']);
    expect([code, stderr]).toEqual([0, expect.stringContaining('resuming at block 2 of 2')]);
    expect(contentsOf(output)).toEqual(expected);
  });

  test.each([
    ['before the old output steps aside', /^rename .*replaced$/],
    ['before the new one takes its place', /^rename .*lbs-job.model /],
    ['before its work is deleted', /^rm .*lbs-job.replaced /],
  ])('leaves the old output or the new one where it replaces one: %s', async (_, before) => {
    mkdirSync(output, { recursive: true });
    writeFileSync(join(output, 'old.txt'), 'old');
    const replace = [...calibrated, '--force'];
    expect(await quantize(replace, { before })).toMatchObject({ signal: 'SIGKILL' });
    const isOld = (path: string) => existsSync(join(path, 'old.txt'));
    if (!existsSync(output)) expect(isOld(join(jobDirectoryOf(output), 'replaced'))).toBe(true);
    else if (!isOld(output)) expect(contentsOf(output)).toEqual(expected);
    expect((await quantize(replace)).code).toBe(0);
    expect(contentsOf(output)).toEqual(expected);
    expect(readdirSync(parent)).toEqual(['model']);
  });
});

const unitsOf = (path: string) =>
  readdirSync(jobDirectoryOf(path)).filter((name) => name.endsWith('.unit.safetensors'));

describe('what is left of a job', () => {
  test('stays when it is cancelled, and goes on', async () => {
    const { code, stderr } = await quantize(calibrated, { units: 1, signal: 'SIGINT' });
    expect([code, stderr]).toEqual([130, expect.stringMatching(/the same command goes on.*\n.*interrupted/)]);
    expect(readdirSync(parent)).toEqual(['.model.lbs-job']);
    const again = await quantize(calibrated);
    expect([again.code, again.stderr]).toEqual([0, expect.stringContaining('resuming at')]);
    expect(contentsOf(output)).toEqual(expected);
  });

  test.each<[string, readonly string[]]>([
    ['recipe', ['--preset', 'lbs-4', '--calibration', text, '--threads', '1']],
    ['calibration', ['--preset', 'lbs-3', '--calibration', otherText, '--threads', '1']],
  ])('is not taken for work on another %s', async (part, other) => {
    await quantize(calibrated, { units: 1 });
    const { stderr } = await quantize(other);
    expect(stderr).toContain(`an unfinished job with another ${part}: it was deleted`);
    expect(stderr).not.toContain('resuming');
    const alone = join(parent, 'alone');
    await start([tiny, '-o', alone, ...other]).outcome;
    expect(contentsOf(output)).toEqual(contentsOf(alone));
  });

  test('is not taken for work on another model', async () => {
    const other = join(parent, 'tiny-lm');
    cpSync(tiny, other, { recursive: true });
    const config = JSON.parse(readFileSync(join(other, 'config.json'), 'utf8'));
    writeFileSync(join(other, 'config.json'), JSON.stringify({ ...config, rope_theta: 10_000 }));
    await quantize(calibrated, { units: 1 });
    const { stderr } = await start([other, '-o', output, ...calibrated]).outcome;
    expect(stderr).toContain('an unfinished job with another model: it was deleted');
  });

  test.each([
    ['a unit', () => unitsOf(output)[0]!],
    ['the states behind a block', () => 'states-0.safetensors'],
  ])('is not trusted where %s lost its end', async (_, file) => {
    await quantize(calibrated, { units: 1 });
    const path = join(jobDirectoryOf(output), file());
    truncateSync(path, statSync(path).size - 7);
    const { code, stderr } = await quantize(calibrated);
    expect([code, stderr]).toEqual([0, expect.not.stringContaining('resuming')]);
    expect(contentsOf(output)).toEqual(expected);
  });

  test('belongs to one process at a time', async () => {
    const { child, outcome } = start([tiny, '-o', output, ...calibrated], { units: 1, signal: 'SIGSTOP' });
    await vi.waitUntil(() => existsSync(jobDirectoryOf(output)) && unitsOf(output).length === 1, 60_000);
    const other = await quantize(calibrated);
    expect([other.code, other.stderr]).toEqual([
      1,
      expect.stringMatching(new RegExp(`process ${child.pid} is at work on this output.*Wait until it ends`)),
    ]);
    child.kill('SIGKILL');
    await outcome;
    expect((await quantize(calibrated)).stderr).toContain('resuming at block 2 of 2');
    expect(contentsOf(output)).toEqual(expected);
  });
});
