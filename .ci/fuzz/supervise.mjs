import { Worker } from 'node:worker_threads';

/** Longest execution before the thread is ended. */
const HANG_MILLISECONDS = 10_000;

/** Heap of the thread: what a parser builds piece by piece from a small input stays far below. */
const HEAP_MEGABYTES = 256;

const HEADER_BYTES = 12;
const MAX_INPUT_BYTES = 2 ** 22;

const defaultTargets = new URL('targets.mjs', import.meta.url).href;

/**
 * Runs a job in a thread of its own: `{ replay: true }` the corpus, `{ seed, plan }` a campaign of so many executions
 * or milliseconds for each target of the plan. `onMessage` gets what the thread reports, and failures of its death: a hang or
 * a full heap, with the input that it died of. Resolves when the thread has ended, with false when it died.
 */
export async function supervise(
  job,
  onMessage,
  { targetsModule = defaultTargets, hangMilliseconds = HANG_MILLISECONDS } = {},
) {
  const { targets } = await import(targetsModule);
  const current = new SharedArrayBuffer(HEADER_BYTES + MAX_INPUT_BYTES);
  const header = new Int32Array(current, 0, 3);
  const worker = new Worker(new URL('fuzz-thread.mjs', import.meta.url), {
    workerData: { current, job: { ...job, targets: targetsModule } },
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MEGABYTES },
  });
  const died = (failure) =>
    onMessage({
      kind: 'failure',
      target: targets[header[1]].name,
      input: new Uint8Array(current, HEADER_BYTES, header[2]).slice(),
      failure,
    });
  return new Promise((resolve) => {
    let ended = false;
    let seen = -1;
    const watchdog = setInterval(() => {
      const execution = Atomics.load(header, 0);
      if (execution !== seen || execution === 0) {
        seen = execution;
        return;
      }
      finish(false, `hang: more than ${hangMilliseconds / 1000} s`);
    }, hangMilliseconds);
    const finish = async (well, failure) => {
      if (ended) return;
      ended = true;
      clearInterval(watchdog);
      if (failure) died(failure);
      await worker.terminate();
      resolve(well);
    };
    worker.on('message', (message) => (message.kind === 'end' ? finish(true) : onMessage(message)));
    worker.on('error', (error) =>
      finish(false, `the thread died: ${error.code ?? error.name}: ${error.message}`),
    );
  });
}
