import type { CompiledModules } from './module-instances.js';
import { type RunningWorker, type StartWorker, startWorker } from './start-worker.js';
import { ThreadError } from './thread-error.js';
import {
  type AttachedModule,
  cutRange,
  type KernelCall,
  type SplitWork,
  type ThreadPool,
} from './thread-pool.js';
import { moduleNames, type WasmExports } from './wasm-exports.js';
import {
  controlBytes,
  exportNumber,
  failureText,
  moduleBytes,
  calls as ring,
  spinMilliseconds,
  words,
} from './worker-source.js';

/** Takes 1 to 2 microseconds, several times what handing a call over does. */
const defaultLeastWork = 32768;

/** The caller looks this often, in milliseconds, whether anything happens at all. */
const lookMilliseconds = 1000;

const createAgain = 'Create new kernels, and load the matrices into them again.';

/** What a pool of workers is made of. */
export interface WorkerPoolOptions {
  /** What workers have from their start. */
  readonly modules: CompiledModules;
  /** The shared memory that the modules are used with. */
  readonly memory: WebAssembly.Memory;
  /** Threads that compute, the caller's among them. */
  readonly threads: number;
  /** Multiplications that are worth a call. Default 32768. */
  readonly leastWork?: number;
  /**
   * Looks in a row, a second each, at which no call has ended, before the workers count as dead; default 120. It counts looks and not the clock,
   * because a machine may sleep in between.
   */
  readonly patience?: number;
  readonly start?: StartWorker;
}

/** An export of a module. */
interface PoolFunction {
  /** As workers know it. */
  readonly number: number;
  /** The one of the caller's thread. */
  readonly call: (...values: readonly number[]) => void;
}

/**
 * Threads - 1 workers beside the caller. Calls are written into a block of shared memory; caller and workers take them one by one.
 *
 * A call that throws in a worker, such as one that traps, is reported by `run`. A worker that ends between two calls of `run` is
 * reported by the next one, because its event arrives in between. While `run` waits, the caller's thread sees no events, so a worker
 * that is ended in the middle of a call (by the system, for want of memory) shows only in that no call ends any more: `run` gives
 * up after `patience` seconds. Up to then it cannot be told from a call that takes long.
 */
export class WorkerPool implements ThreadPool {
  readonly threads: number;
  readonly #leastWork: number;
  readonly #patience: number;
  readonly #functions = new Map<string, PoolFunction>();
  readonly #control = new SharedArrayBuffer(controlBytes);
  readonly #words = new Int32Array(this.#control);
  readonly #slots = new Float64Array(this.#control, ring.offset);
  readonly #canSleep = canSleep(this.#words);
  #workers: readonly RunningWorker[] = [];
  /** Why the workers cannot be used any more. */
  #problem: string | undefined;

  private constructor({ threads, leastWork = defaultLeastWork, patience = 120 }: WorkerPoolOptions) {
    this.threads = threads;
    this.#leastWork = leastWork;
    this.#patience = patience;
  }

  /** Resolves when all workers are ready. Throws ThreadError where they cannot be started. */
  static async start(options: WorkerPoolOptions): Promise<WorkerPool> {
    const { memory, threads, start = startWorker } = options;
    const pool = new WorkerPool(options);
    const modules = moduleNames.map((name) => options.modules[name]);
    const starts = Array.from({ length: threads - 1 }, () =>
      start({ modules, memory, control: pool.#control }, (reason) => pool.#end(`a worker ended: ${reason}`)),
    );
    const results = await Promise.allSettled(starts);
    pool.#workers = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) {
      pool.close();
      throw failed.reason;
    }
    return pool;
  }

  attach({ name, exports, bytes }: AttachedModule): void {
    const index = moduleNames.indexOf(name);
    for (const [place, [exported, call]] of Object.entries(exports).entries()) {
      if (call.length >= ring.slotLength) {
        throw new RangeError(
          `${exported} takes ${call.length} arguments; a slot has room for ${ring.slotLength - 1}`,
        );
      }
      this.#functions.set(exported, { number: exportNumber(index, place), call });
    }
    if (bytes === undefined) return;
    new Uint8Array(this.#control, moduleBytes.offset + moduleBytes.most * index, bytes.length).set(bytes);
    // Workers read it after the next ticket, which is published later.
    this.#words[words.moduleLengths + index] = bytes.length;
  }

  split<Name extends keyof WasmExports>(
    name: Name,
    work: SplitWork,
    call: (first: number, end: number) => KernelCall<Name>,
  ): void {
    const ranges = cutRange(work, { threads: this.threads, leastWork: this.#leastWork });
    this.run(
      name,
      ranges.map(([first, end]) => call(first, end)),
    );
  }

  run<Name extends keyof WasmExports>(name: Name, calls: readonly KernelCall<Name>[]): void {
    const called = this.#functions.get(name)!;
    if (calls.length < 2) {
      for (const call of calls) called.call(...call);
      return;
    }
    if (this.#problem) {
      throw new ThreadError(`the threads of the kernels cannot be used: ${this.#problem}`, {
        mend: createAgain,
      });
    }
    for (let first = 0; first < calls.length; first += ring.slots) {
      this.#runBatch(called, calls.slice(first, first + ring.slots));
    }
  }

  close(): void {
    this.#end('they were closed');
  }

  #end(problem: string): void {
    this.#problem ??= problem;
    for (const worker of this.#workers) worker.terminate();
    this.#workers = [];
  }

  /** Between two batches the three tickets are equal. */
  #runBatch(called: PoolFunction, calls: readonly (readonly number[])[]): void {
    const first = Atomics.load(this.#words, words.published);
    for (let i = 0; i < calls.length; i++) {
      const call = calls[i]!;
      const slot = ring.slotLength * ((first + i) & (ring.slots - 1));
      this.#slots[slot] = called.number;
      for (let k = 0; k < call.length; k++) this.#slots[slot + 1 + k] = call[k]!;
    }
    const end = (first + calls.length) | 0;
    Atomics.store(this.#words, words.published, end);
    if (Atomics.load(this.#words, words.sleepers) > 0) {
      Atomics.notify(this.#words, words.published, calls.length - 1);
    }
    const failureHere = this.#takeCalls(called, calls, first);
    this.#waitFor(end);
    // Taken in any case: left behind, the next run would report it.
    const failureElsewhere = this.#takeFailure();
    const problem = failureHere ?? failureElsewhere;
    if (problem !== undefined) throw new ThreadError(`a call of the kernels failed: ${problem}`);
  }

  /** The caller's share of the work. Returns what a call of it threw. */
  #takeCalls({ call }: PoolFunction, calls: readonly (readonly number[])[], first: number): unknown {
    let failure: unknown;
    for (;;) {
      const ticket = Atomics.load(this.#words, words.claimed);
      const place = (ticket - first) | 0;
      if (place === calls.length) return failure;
      if (Atomics.compareExchange(this.#words, words.claimed, ticket, (ticket + 1) | 0) !== ticket) continue;
      try {
        call(...calls[place]!);
      } catch (error) {
        failure ??= error;
      }
      Atomics.add(this.#words, words.finished, 1);
    }
  }

  #waitFor(end: number): void {
    for (let silent = 0; silent < this.#patience; ) {
      const finished = Atomics.load(this.#words, words.finished);
      if (finished === end) return;
      silent = this.#waitForChange(finished) ? 0 : silent + 1;
    }
    this.#end(`no call has ended for ${this.#patience} seconds`);
    throw new ThreadError(`the workers of the kernels do not answer: ${this.#problem}`, {
      mend: createAgain,
    });
  }

  /** Whether another call has ended, after a second at most. */
  #waitForChange(finished: number): boolean {
    const start = performance.now();
    const spin = this.#canSleep ? spinMilliseconds : lookMilliseconds;
    while (performance.now() - start < spin) {
      if (Atomics.load(this.#words, words.finished) !== finished) return true;
    }
    if (this.#canSleep) {
      Atomics.store(this.#words, words.callerSleeps, 1);
      Atomics.wait(this.#words, words.finished, finished, lookMilliseconds);
      Atomics.store(this.#words, words.callerSleeps, 0);
    }
    return Atomics.load(this.#words, words.finished) !== finished;
  }

  /** The message of the first failure in a worker since the last look. */
  #takeFailure(): string | undefined {
    const length = Atomics.exchange(this.#words, words.failure, 0);
    if (length === 0) return undefined;
    return String.fromCharCode(...new Uint16Array(this.#control, failureText.offset, length));
  }
}

/** A browser's main thread must not sleep. */
function canSleep(words: Int32Array): boolean {
  try {
    Atomics.wait(words, 0, 0, 0);
    return true;
  } catch {
    return false;
  }
}
