import type { Worker } from 'node:worker_threads';
import type { WorkerReply, WorkerRequest } from './worker.js';

/** Has a worker thread do a task; one at a time. Rejects with what the thread throws, and where it ends without a result. */
export function askWorker(
  worker: Worker,
  request: WorkerRequest,
  onShare: (share: number) => void,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const listeners = {
      message: (reply: WorkerReply) => {
        if ('share' in reply) return onShare(reply.share);
        settle();
        resolve(reply.result);
      },
      error: (error: Error) => {
        settle();
        reject(error);
      },
      exit: (code: number) => {
        settle();
        reject(new Error(`a worker thread ended with code ${code}`));
      },
    };
    const settle = () => {
      worker.off('message', listeners.message).off('error', listeners.error).off('exit', listeners.exit);
    };
    worker.on('message', listeners.message).on('error', listeners.error).on('exit', listeners.exit);
    worker.postMessage(request);
  });
}
