import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { JobName, JobResult, JobTask } from './jobs.js';
import type { WorkerReply, WorkerRequest } from './worker.js';

/** Threads that jobs run on: one for each core. */
export const workerCount = availableParallelism();

/** How far all tasks are together, from 0 to 1, and how many are done. */
export interface JobsProgress {
  readonly share: number;
  readonly completed: number;
  readonly total: number;
}

/**
 * Runs a job on each of the tasks, as many at a time as the machine has cores; the next free thread takes the next task. The results have the order of the
 * tasks. Rejects with the first error.
 */
export async function runJobs<Name extends JobName>(
  job: Name,
  tasks: readonly JobTask<Name>[],
  onProgress: (progress: JobsProgress) => void,
): Promise<JobResult<Name>[]> {
  const results: JobResult<Name>[] = new Array(tasks.length);
  const shares = new Float64Array(tasks.length);
  let completed = 0;
  const report = (place: number, share: number) => {
    shares[place] = share;
    const sum = shares.reduce((total, value) => total + value, 0);
    onProgress({ share: sum / tasks.length, completed, total: tasks.length });
  };
  const queue = tasks.entries();
  const workers = tasks.slice(0, workerCount).map(() => new Worker(new URL('worker.js', import.meta.url)));
  try {
    await Promise.all(
      workers.map(async (worker) => {
        for (const [place, task] of queue) {
          results[place] = (await ask(worker, { job, task }, (share) =>
            report(place, share),
          )) as JobResult<Name>;
          completed++;
          report(place, 1);
        }
      }),
    );
    return results;
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

function ask(worker: Worker, request: WorkerRequest, onShare: (share: number) => void): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const settle = (end: () => void) => {
      worker.removeAllListeners();
      end();
    };
    worker.on('message', (reply: WorkerReply) => {
      if ('share' in reply) onShare(reply.share);
      else settle(() => resolve(reply.result));
    });
    worker.on('error', (error) => settle(() => reject(error)));
    worker.on('exit', (code) => settle(() => reject(new Error(`a worker thread ended with code ${code}`))));
    worker.postMessage(request);
  });
}
