import { Worker } from 'node:worker_threads';
import { afterEach, expect, test } from 'vitest';
import { askWorker } from './ask-worker.js';

const source = `
const { parentPort } = require('node:worker_threads');
parentPort.on('message', ({ task }) => {
  if (task === 'throw') throw new Error('broken');
  if (task === 'exit') process.exit(3);
  parentPort.postMessage({ share: 0.5 });
  parentPort.postMessage({ result: task });
});`;
const workers: Worker[] = [];
const start = () => {
  const worker = new Worker(source, { eval: true });
  workers.push(worker);
  return worker;
};
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.terminate()));
});

test('one thread does one task after another, and says how far each is', async () => {
  const worker = start();
  const shares: number[] = [];
  for (const task of ['first', 'second', 'third']) {
    expect(await askWorker(worker, { job: 'quantize', task }, (share) => shares.push(share))).toBe(task);
  }
  expect(shares).toEqual([0.5, 0.5, 0.5]);
});

test('an error in the thread, and its end, reject', async () => {
  const ask = (task: string) => askWorker(start(), { job: 'quantize', task }, () => {});
  await expect(ask('throw')).rejects.toThrow('broken');
  await expect(ask('exit')).rejects.toThrow('a worker thread ended with code 3');
});
