import { ThreadError } from './thread-error.js';
import { type WorkerMessage, workerSource } from './worker-source.js';

/** A worker that is ready to take calls. */
export interface RunningWorker {
  terminate(): void;
}

/**
 * Starts a worker and gives it its first message; resolves when it is ready, rejects with ThreadError when it cannot be.
 * `onEnd` is called when it ends by itself later.
 */
export type StartWorker = (
  message: WorkerMessage,
  onEnd: (reason: unknown) => void,
) => Promise<RunningWorker>;

/** What is used of a `Worker` of node:worker_threads: library sources do not see Node's types. */
interface NodeWorker {
  postMessage(message: unknown): void;
  on(event: 'message' | 'error' | 'exit', listener: (value: unknown) => void): this;
  terminate(): Promise<unknown>;
  unref(): void;
}

interface NodeWorkerThreads {
  readonly Worker: new (source: string, options: object) => NodeWorker;
}

/** Asked for at run time: an import would keep this package from browsers. */
function nodeWorkerThreads(): NodeWorkerThreads | undefined {
  const { process } = globalThis as { process?: { getBuiltinModule?(name: string): unknown } };
  return process?.getBuiltinModule?.('node:worker_threads') as NodeWorkerThreads | undefined;
}

/** Whether threads can share a memory here. A browser needs a page that is isolated from other origins. */
export function canShareMemory(): boolean {
  return (
    typeof SharedArrayBuffer === 'function' &&
    (nodeWorkerThreads() !== undefined || typeof Worker === 'function')
  );
}

/** A worker of Node or of the browser. */
export const startWorker: StartWorker = (message, onEnd) => {
  const threads = nodeWorkerThreads();
  return threads ? startInNode(threads, message, onEnd) : startInBrowser(message, onEnd);
};

function startInNode(
  { Worker }: NodeWorkerThreads,
  message: WorkerMessage,
  onEnd: (reason: unknown) => void,
): Promise<RunningWorker> {
  return new Promise((resolve, reject) => {
    // Without the options of this process: its loaders and hooks have nothing to do in the worker.
    const worker = new Worker(workerSource, { eval: true, execArgv: [], name: 'lbs-kernels' });
    const end = (reason: unknown) => {
      reject(cannotStart(reason));
      onEnd(reason);
    };
    worker.on('error', end);
    worker.on('exit', (code) => end(`it ended with code ${code}`));
    worker.on('message', () => {
      // A process ends when all but its kernels is done.
      worker.unref();
      resolve({ terminate: () => void worker.terminate() });
    });
    worker.postMessage(message);
  });
}

function startInBrowser(message: WorkerMessage, onEnd: (reason: unknown) => void): Promise<RunningWorker> {
  const url = URL.createObjectURL(new Blob([workerSource], { type: 'text/javascript' }));
  const started = new Promise<RunningWorker>((resolve, reject) => {
    const worker = new Worker(url, { name: 'lbs-kernels' });
    worker.onerror = (event) => {
      // It is reported below, so not in the console.
      event.preventDefault();
      const reason = event.message || 'the page does not let it run';
      worker.terminate();
      reject(cannotStart(reason, 'Let the content security policy of the page have worker-src blob:.'));
      onEnd(reason);
    };
    worker.onmessage = () => resolve({ terminate: () => worker.terminate() });
    worker.postMessage(message);
  });
  return started.finally(() => URL.revokeObjectURL(url));
}

function cannotStart(reason: unknown, mend?: string): ThreadError {
  return new ThreadError(`a worker of the kernels did not start: ${reason}`, {
    mend: [mend, 'Or use one thread.'].filter(Boolean).join(' '),
    cause: reason,
  });
}
