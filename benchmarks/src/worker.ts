import { parentPort } from 'node:worker_threads';
import { type JobName, jobs, type Report } from './jobs.js';

/** What the main thread sends. */
export interface WorkerRequest {
  readonly job: JobName;
  readonly task: unknown;
}

/** What it gets back: how far the task is, or its result. */
export type WorkerReply = { readonly share: number } | { readonly result: unknown };

const reply = (message: WorkerReply) => parentPort?.postMessage(message);

// A task that fails ends the thread with its error, which the main thread sees.
parentPort?.on('message', async ({ job, task }: WorkerRequest) => {
  const run = jobs[job] as (task: unknown, report: Report) => Promise<unknown>;
  reply({ result: await run(task, (share) => reply({ share })) });
});
