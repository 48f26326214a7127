import type { WasmExports } from './wasm-exports.js';

/** Arguments of an export of the module. */
export type KernelCall<Name extends keyof WasmExports> = Parameters<WasmExports[Name]>;

/** From the first to behind the last. */
export type Range = readonly [first: number, end: number];

/**
 * Runs calls of the module's exports on several threads over one memory. This is how a kernel is split:
 *
 *  1. The export computes a part of its output that its arguments name, usually the rows from `firstRow` up to `endRow`. A part has
 *     the same bits whatever the other parts are, and no call writes what another call of the same `run` reads or writes: scratch
 *     memory is allocated for each call.
 *  2. The operation asks `ranges` how to cut, and gives `run` the arguments for each range. `run` returns when all have ended.
 *
 *         const ranges = pool.ranges(rows, { step: 4, work: columns * tokens });
 *         pool.run('kernel', ranges.map(([first, end]) => [matrix, output, first, end]));
 */
export interface ThreadPool {
  /** Threads that compute, the caller's among them. */
  readonly threads: number;
  /**
   * Cuts 0 to `count` into consecutive ranges that are worth a call each: one where there is one thread or little to do. All but the
   * last are multiples of `step` long. `work` is how many multiplications, or what takes as long, one of the `count` is.
   */
  ranges(count: number, options: { readonly step: number; readonly work: number }): Range[];
  /**
   * Makes all calls, in any order and on any thread, and waits until they have ended; a single call is made by the caller.
   * Throws ThreadError when the pool is closed, and when a call or a thread failed: what the calls write is undefined then.
   */
  run<Name extends keyof WasmExports>(name: Name, calls: readonly KernelCall<Name>[]): void;
  /** Ends the workers: `run` throws from then on where it needs them. */
  close(): void;
}

/** The caller's thread alone. */
export function singleThread(wasm: WasmExports): ThreadPool {
  const exports = wasm as unknown as Record<string, (...values: readonly number[]) => void>;
  return {
    threads: 1,
    ranges: (count) => [[0, count]],
    run: (name, calls) => {
      for (const call of calls) exports[name]!(...call);
    },
    close() {},
  };
}

/** The ranges of `ThreadPool.ranges`: at most `parts`, each with at least `leastWork`. */
export function cutRange(
  count: number,
  { step, work, parts, leastWork }: { step: number; work: number; parts: number; leastWork: number },
): Range[] {
  const useful = Math.max(1, Math.min(parts, Math.floor((count * work) / leastWork)));
  const length = step * Math.ceil(count / useful / step);
  const ranges: Range[] = [];
  for (let first = 0; first < count; first += length) ranges.push([first, Math.min(first + length, count)]);
  return ranges;
}
