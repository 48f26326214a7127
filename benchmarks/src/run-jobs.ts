import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { askWorker } from './ask-worker.js';
import type { JobName, JobResult, JobTask } from './jobs.js';

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
          results[place] = (await askWorker(worker, { job, task }, (share) =>
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
