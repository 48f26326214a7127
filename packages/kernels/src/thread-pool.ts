import type { ModuleName, WasmExports } from './wasm-exports.js';

/** A module that the caller's thread has an instance of. */
export interface AttachedModule {
  readonly name: ModuleName;
  readonly exports: object;
  /** What workers make their instances of; undefined where they have had the module from their start. */
  readonly bytes: Uint8Array | undefined;
}

/** Arguments of an export of a module. */
export type KernelCall<Name extends keyof WasmExports> = Parameters<WasmExports[Name]>;

/** From the first to behind the last. */
export type Range = readonly [first: number, end: number];

/** What `ThreadPool.split` cuts into calls. */
export interface SplitWork {
  /** Rows, tokens, heads or what else is cut. */
  readonly count: number;
  /** A call gets a multiple of it, except for the last. */
  readonly step: number;
  /** How many multiplications, or what takes as long, one of the `count` is. */
  readonly work: number;
}

/**
 * Runs calls of the modules' exports on several threads over one memory. This is how a kernel is split:
 *
 *  1. The export computes the part of its output that its arguments name, usually the rows from `firstRow` up to `endRow`. A part has
 *     the same bits whatever the other parts are, and no call writes what another call of the same `split` or `run` reads or writes:
 *     scratch memory is allocated for each call.
 *  2. The operation gives `split` what there is to cut and the arguments of each part:
 *
 *         pool.split('kernel', { count: rows, step: 4, work: columns }, (first, end) => [matrix, output, first, end]);
 */
export interface ThreadPool {
  /** Threads that compute, the caller's among them. */
  readonly threads: number;
  /** Makes the exports of a module known, which can be called from then on. */
  attach(module: AttachedModule): void;
  /**
   * Cuts 0 to `count` into ranges that are worth a call each and runs the calls: one where there is one thread or little to do. A call
   * may allocate from the arena.
   */
  split<Name extends keyof WasmExports>(
    name: Name,
    work: SplitWork,
    call: (first: number, end: number) => KernelCall<Name>,
  ): void;
  /**
   * Makes all calls, in any order and on any thread, and waits until they have ended; a single call is made by the caller.
   * Throws ThreadError when the pool is closed, and when a call or a thread failed: what the calls write is undefined then.
   */
  run<Name extends keyof WasmExports>(name: Name, calls: readonly KernelCall<Name>[]): void;
  /** Ends the workers: what needs them throws from then on. */
  close(): void;
}

/** The caller's thread alone. */
export function singleThread(): ThreadPool {
  const functions = new Map<string, (...values: readonly number[]) => void>();
  return {
    threads: 1,
    attach({ exports }) {
      for (const [name, call] of Object.entries(exports)) functions.set(name, call);
    },
    split: (name, { count }, call) => functions.get(name)!(...call(0, count)),
    run(name, calls) {
      const run = functions.get(name)!;
      for (const call of calls) run(...call);
    },
    close() {},
  };
}

/** Uneven calls and busy cores balance where there are more calls than threads. */
const callsPerThread = 4;

/**
 * Ranges of `ThreadPool.split`, each with at least `leastWork`: as many for one thread as for another where there are enough, and at most
 * 4 for each.
 */
export function cutRange(
  { count, step, work }: SplitWork,
  { threads, leastWork }: { readonly threads: number; readonly leastWork: number },
): Range[] {
  const useful = Math.floor((count * work) / leastWork);
  const parts =
    useful < threads ? Math.max(1, useful) : threads * Math.min(callsPerThread, Math.floor(useful / threads));
  const length = step * Math.ceil(count / parts / step);
  const ranges: Range[] = [];
  for (let first = 0; first < count; first += length) ranges.push([first, Math.min(first + length, count)]);
  return ranges;
}
