import { parentPort, workerData } from 'node:worker_threads';
import { fuzzTarget } from './campaign.mjs';
import { readCorpus } from './corpus.mjs';
import { createOracle } from './oracle.mjs';

/*
 * The thread that executes: it may hang or run out of heap, and the one that watches it lives on. What it executes at
 * the moment is in shared memory.
 */
const { current, job } = workerData;
const header = new Int32Array(current, 0, 3);
const content = new Uint8Array(current, header.byteLength);
const { targets } = await import(job.targets);
const oracle = createOracle();
// The tokenizer library says there what it does not know.
console.warn = () => {};
const byName = new Map(targets.map((target) => [target.name, target]));

function onStart(target, input) {
  content.set(input.subarray(0, content.length));
  header[1] = targets.indexOf(target);
  header[2] = Math.min(input.length, content.length);
  Atomics.add(header, 0, 1);
}

if (job.replay) {
  for (const { name, target, input } of readCorpus()) {
    onStart(byName.get(target), input);
    const { failure, stack } = await oracle.judge(byName.get(target), input);
    const [rejection] = await oracle.takeRejections();
    parentPort.postMessage({ kind: 'replayed', name, failure: failure ?? rejection, stack });
  }
} else {
  for (const { name, executions, milliseconds } of job.plan) {
    const started = performance.now();
    const done = await fuzzTarget(byName.get(name), oracle, {
      seed: job.seed,
      executions,
      deadline: started + milliseconds,
      onStart,
      onFailure: ({ target, input, failure, stack }) =>
        parentPort.postMessage({ kind: 'failure', target: target.name, input, failure, stack }),
    });
    parentPort.postMessage({
      kind: 'target',
      name,
      executions: done,
      seconds: (performance.now() - started) / 1000,
    });
  }
}
parentPort.postMessage({ kind: 'end' });
