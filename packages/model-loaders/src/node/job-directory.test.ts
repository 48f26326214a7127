import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileAccessError, InvalidArgumentError, type StoredTensor } from '@lbs/format';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { JobDirectory } from './job-directory.js';
import { jobDirectoryOf } from './job-files.js';
import { hasFinishedJob, openJobDirectory } from './open-job-directory.js';
import { writeModelDirectory } from './write-model-directory.js';

let parent: string;
let output: string;
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'lbs-'));
  output = join(parent, 'model');
});
afterEach(() => rm(parent, { recursive: true }));

const identity = { recipe: { name: 'x' }, model: 1, calibration: null };
const open = (replace = false) => openJobDirectory(output, identity, { replace });

const unit: readonly StoredTensor[] = [
  { name: 'b.weight_packed', dtype: 'U8', shape: [2, 3], bytes: Uint8Array.of(1, 2, 3, 4, 5, 6) },
  { name: 'a.weight_shape', dtype: 'I32', shape: [2], bytes: new Uint8Array(8).fill(7) },
  { name: 'empty', dtype: 'F16', shape: [0], bytes: new Uint8Array() },
];
const specs = unit.map(({ name, dtype, shape }) => expect.objectContaining({ name, dtype, shape }));
const states = [
  { hidden: Float32Array.of(1, -0, 3e-9), original: Float32Array.of(4) },
  { hidden: Float32Array.of(5), original: new Float32Array() },
];
const model = {
  config: { model_type: 'llama' },
  tensors: unit,
  tokenizerFiles: new Map([['tokenizer.json', Uint8Array.of(0x7b, 0x7d)]]),
};

async function fileWith(suffix: string): Promise<string> {
  const path = jobDirectoryOf(output);
  return join(path, (await readdir(path)).find((name) => name.endsWith(suffix))!);
}

describe('a job directory', () => {
  it('gives back what was committed, in its order, also when it is opened again', async () => {
    const job = await open();
    expect(await job.find('block 0')).toBeUndefined();
    await job.commit('block 0', unit);
    await job.commit('x/../*.weight'.repeat(50), []);
    await check(job);
    await job.close();
    const again = await open();
    await check(again);
    await again.close();

    async function check(found: JobDirectory) {
      expect(await found.find('block 0')).toEqual(specs);
      expect(await found.find('x/../*.weight'.repeat(50))).toEqual([]);
      for (const { name, bytes } of unit) {
        const pieces = [];
        for await (const piece of found.read('block 0', name)) pieces.push(...piece);
        expect(pieces).toEqual([...bytes]);
      }
    }
  });

  it('keeps states of several streams, bit by bit', async () => {
    const job = await open();
    await job.commit('block 3', []);
    await job.saveStates(3, states);
    await job.close();
    const again = await open();
    expect(await again.loadStates(3)).toEqual(states);
    expect(await again.loadStates(2)).toBeUndefined();
    await again.removeStates(3);
    expect(await again.loadStates(3)).toBeUndefined();
    await again.removeStates(3);
    await again.close();
  });

  it('takes no damaged file for whole, wherever the damage is', async () => {
    const job = await open();
    await job.commit('block 0', unit);
    await job.saveStates(0, states);
    for (const [suffix, read] of [
      ['.unit.safetensors', () => job.find('block 0')],
      ['states-0.safetensors', () => job.loadStates(0)],
    ] as const) {
      const path = await fileWith(suffix);
      const whole = await readFile(path);
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 0, max: whole.length - 1 }),
          fc.integer({ min: 0, max: 255 }),
          async (at, mask) => {
            const damaged = Buffer.from(whole);
            damaged[at]! ^= mask;
            await writeFile(path, mask === 0 ? whole.subarray(0, at) : damaged);
            const padding = mask !== 0 && whole[at] === 0x20;
            if (!padding) expect(await read()).toBeUndefined();
          },
        ),
        { numRuns: 150 },
      );
      await writeFile(path, whole);
      expect(await read()).toBeDefined();
    }
    await job.close();
  });

  it('takes no file of another unit or another job for its own', async () => {
    const job = await open();
    await job.commit('block 0', unit);
    const first = await fileWith('.unit.safetensors');
    const bytes = await readFile(first);
    await rm(first);
    await job.commit('block 1', []);
    const second = await fileWith('.unit.safetensors');
    await writeFile(second, bytes);
    expect(await job.find('block 1')).toBeUndefined();
    await rm(second);
    await job.close();
    const other = await openJobDirectory(output, { ...identity, model: 2 });
    await other.commit('block 0', []);
    await writeFile(first, bytes);
    expect(await other.find('block 0')).toBeUndefined();
    await other.close();
  });

  it('deletes what a job of another identity left, and names what differs', async () => {
    const job = await open();
    expect(job.discarded).toBeUndefined();
    await job.commit('block 0', unit);
    expect(await job.close()).toBe(true);
    const other = await openJobDirectory(output, { recipe: { name: 'y' }, model: 1, calibration: [1] });
    expect(other.discarded).toEqual(['recipe', 'calibration']);
    expect(await other.find('block 0')).toBeUndefined();
    expect(await other.close()).toBe(false);
    expect(await readdir(parent)).toEqual([]);
  });

  it('leaves nothing behind where nothing was finished', async () => {
    const job = await open();
    await job.saveStates(0, states);
    expect(await job.close()).toBe(false);
    expect(await readdir(parent)).toEqual([]);
  });

  it('removes what a killed process had half written', async () => {
    const job = await open();
    await job.commit('block 0', unit);
    await job.close();
    await writeFile(join(job.path, '.block.partial'), 'half');
    await mkdir(join(job.path, 'model'));
    await (await open()).close();
    expect(await readdir(job.path)).toEqual([expect.stringContaining('.unit.'), 'job.json']);
  });
});

describe('the lock', () => {
  const lock = () => `${jobDirectoryOf(output)}.lock`;

  it('keeps a second job away until the first is closed', async () => {
    const job = await open();
    const second = open();
    await expect(second).rejects.toThrow(FileAccessError);
    await expect(second).rejects.toThrow(`process ${process.pid} is at work on this output`);
    await job.close();
    await (await open()).close();
    expect(await readdir(parent)).toEqual([]);
  });

  it.each([
    ['a process that has ended', { pid: 2 ** 30, host: hostname(), started: null }],
    ['an earlier process of the same id', { pid: process.pid, host: hostname(), started: '1' }],
  ])('of %s is taken over', async (_, holder) => {
    await writeFile(lock(), JSON.stringify(holder));
    await (await open()).close();
    expect(await readdir(parent)).toEqual([]);
  });

  it('that was never written whole is taken over', async () => {
    await writeFile(lock(), '');
    await (await open()).close();
    expect(await readdir(parent)).toEqual([]);
  });

  it('of another machine is respected, and the message says what to do', async () => {
    await writeFile(lock(), JSON.stringify({ pid: 1, host: 'elsewhere', started: null }));
    await expect(open()).rejects.toThrow(/process 1 on elsewhere .*delete this file/);
  });
});

describe('the result of a job', () => {
  it('is what writeModelDirectory writes, and nothing else is left', async () => {
    const other = join(parent, 'other');
    const job = await open();
    await job.commit('block 0', unit);
    const tensors = unit.map((tensor) => ({ ...tensor, bytes: () => job.read('block 0', tensor.name) }));
    const options = { maxShardBytes: 10 };
    const bytes = await job.finish({ ...model, tensors }, options);
    expect(await writeModelDirectory(other, model, options)).toBe(bytes);
    expect((await readdir(parent)).sort()).toEqual(['model', 'other']);
    expect(await readdir(output)).toEqual(await readdir(other));
    for (const name of await readdir(other)) {
      expect(await readFile(join(output, name))).toEqual(await readFile(join(other, name)));
    }
  });

  it('does not replace an output without leave, whenever that appears', async () => {
    const job = await open();
    await mkdir(output);
    await writeFile(join(output, 'old.txt'), '');
    await expect(job.finish(model)).rejects.toThrow(InvalidArgumentError);
    await job.close();
    await expect(open()).rejects.toThrow(/the output directory exists/);
    expect(await readdir(output)).toEqual(['old.txt']);
    const replacing = await open(true);
    await replacing.finish(model);
    expect(await readdir(output)).toHaveLength(3);
    expect(await readdir(parent)).toEqual(['model']);
  });

  it('stays unfinished when it is cancelled', async () => {
    const job = await open();
    await job.commit('block 0', unit);
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(job.finish(model, { signal })).rejects.toThrow('enough');
    await job.close();
    const again = await open();
    expect(again.completed).toBeUndefined();
    expect(await again.find('block 0')).toEqual(specs);
    await again.close();
    expect(await readdir(parent)).toEqual(['.model.lbs-job']);
  });

  /** The directory as it is when a process ends at a step of `finish`. */
  async function stopAt(step: 'assembled' | 'old aside' | 'in place'): Promise<void> {
    const job = await open(true);
    await job.commit('block 0', unit);
    await job.close();
    await mkdir(output);
    await writeFile(join(output, 'old.txt'), '');
    await mkdir(join(job.path, 'model'));
    await writeFile(join(job.path, 'model', 'new.txt'), '');
    await writeFile(join(job.path, 'summary.json'), '{"bytes":5}');
    if (step === 'assembled') return;
    await rename(output, join(job.path, 'replaced'));
    if (step === 'in place') await rename(join(job.path, 'model'), output);
  }

  it.each(['assembled', 'old aside'] as const)(
    'is not there yet when a process ends with it %s',
    async (step) => {
      await stopAt(step);
      expect(await hasFinishedJob(output)).toBe(false);
      const job = await open(true);
      expect(job.completed).toBeUndefined();
      expect(await readdir(output)).toEqual(['old.txt']);
      expect(await job.find('block 0')).toEqual(specs);
      await job.close();
    },
  );

  it('is found in place when a process ends before it could say so', async () => {
    await stopAt('in place');
    expect(await hasFinishedJob(output)).toBe(true);
    const job = await open();
    expect(job.completed).toEqual({ bytes: 5 });
    await job.remove();
    expect(await readdir(parent)).toEqual(['model']);
    expect(await readdir(output)).toEqual(['new.txt']);
  });

  it('is made again where somebody deletes it before its job is cleaned up', async () => {
    await stopAt('in place');
    await rm(output, { recursive: true });
    const job = await open();
    expect(job.completed).toBeUndefined();
    await job.finish(model);
    expect(await readdir(parent)).toEqual(['model']);
  });

  it('comes back to its place also for a job of another identity', async () => {
    await stopAt('old aside');
    const other = await openJobDirectory(output, { ...identity, model: 2 }, { replace: true });
    expect(await readdir(output)).toEqual(['old.txt']);
    await other.close();
  });
});
