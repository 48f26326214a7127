import { afterEach, describe, expect, it } from 'vitest';
import { compileDecoder } from './compile-decoder.js';
import { sharedParts } from './fixtures/threaded-kernels.js';
import { packingWasm } from './generated/packing-wasm.js';
import { ThreadError } from './index.js';
import { ModuleInstances } from './module-instances.js';
import { type RunningWorker, type StartWorker, startWorker } from './start-worker.js';
import type { KernelCall } from './thread-pool.js';
import { WorkerPool, type WorkerPoolOptions } from './worker-pool.js';
import { calls as ring, type WorkerMessage, words } from './worker-source.js';

const pools: WorkerPool[] = [];
afterEach(() => {
  for (const pool of pools.splice(0)) pool.close();
});

/** `add` stands for the export on the thread of the caller alone. */
async function startPool({
  add,
  ...options
}: Partial<WorkerPoolOptions> & { add?: (...values: KernelCall<'add'>) => void } = {}) {
  const { arena, ...parts } = await sharedParts();
  const pool = await WorkerPool.start({ ...parts, threads: 3, ...options });
  pools.push(pool);
  const instances = new ModuleInstances(arena.memory, pool, parts.modules);
  const wasm = instances.compiled('decoding');
  if (add) pool.attach({ name: 'decoding', exports: { ...wasm, add }, bytes: undefined });
  return { arena, pool, wasm, instances };
}

/** `count` calls of `add` that add 2, 3, 4 ... to numbers of their own, in cells that are 16 floats apart. */
function additions(arena: Awaited<ReturnType<typeof sharedParts>>['arena'], count: number) {
  const targets = arena.allocate(64 * count);
  const sources = arena.allocate(64 * count);
  arena.float32(targets, 16 * count).fill(1);
  arena.float32(sources, 16 * count).set(Float32Array.from({ length: 16 * count }, (_, i) => 2 + i / 16));
  const calls = Array.from({ length: count }, (_, i): KernelCall<'add'> => {
    return [targets + 64 * i, sources + 64 * i, 1];
  });
  const results = () => Array.from({ length: count }, (_, i) => arena.float32(targets + 64 * i, 1)[0]!);
  return { calls, results };
}

/** Starts workers, and shows the block that they share with the caller. */
function watchedStart(begin: StartWorker = startWorker) {
  let words: Int32Array | undefined;
  const start: StartWorker = (message, onEnd) => {
    words = new Int32Array(message.control);
    return begin(message, onEnd);
  };
  return { start, read: (word: number) => Atomics.load(words!, word) };
}

/** Resolves when `isSo`, which a worker brings about; a test that waits in vain fails by its own time limit. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 1));
}

function catchError(run: () => void): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}

const outside: KernelCall<'add'> = [2 ** 32 - 64, 2 ** 32 - 64, 4];

describe('WorkerPool', () => {
  it.each([1, 2, 3, ring.slots, ring.slots + 1, 3 * ring.slots + 5])(
    'makes each of %i calls once',
    async (count) => {
      const { arena, pool } = await startPool();
      const { calls, results } = additions(arena, count);
      pool.run('add', calls);
      expect(results()).toEqual(Array.from({ length: count }, (_, i) => 3 + i));
    },
  );

  it('gives the same over thousands of runs, of sleeping and of waking workers', async () => {
    const { arena, pool } = await startPool();
    const { calls, results } = additions(arena, 5);
    for (let i = 0; i < 5000; i++) {
      pool.run('add', calls);
      if (i % 1000 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(results()).toEqual(Array.from({ length: 5 }, (_, i) => 1 + 5000 * (2 + i)));
  });

  it('has its workers sleep when there is nothing to do, and wakes them', async () => {
    const { start, read } = watchedStart();
    const { arena, pool } = await startPool({ start });
    await until(() => read(words.sleepers) === 2);
    const { calls, results } = additions(arena, 300);
    pool.run('add', calls);
    expect(results()).toEqual(Array.from({ length: 300 }, (_, i) => 3 + i));
    await until(() => read(words.sleepers) === 2);
  });

  it.each([2 ** 31 - 100, -100, -1])('counts on when its tickets pass %i', async (ticket) => {
    const startAt: StartWorker = (message, onEnd) => {
      const control = new Int32Array(message.control);
      for (const word of [words.published, words.claimed, words.finished]) control[word] = ticket;
      return startWorker(message, onEnd);
    };
    const { arena, pool } = await startPool({ start: startAt, threads: 2 });
    const { calls, results } = additions(arena, ring.slots);
    pool.run('add', calls);
    pool.run('add', calls);
    expect(results()).toEqual(Array.from({ length: ring.slots }, (_, i) => 5 + 2 * i));
  });

  it('passes every kind of argument as it is', async () => {
    const { arena, pool, wasm } = await startPool();
    const count = 64;
    const input = arena.allocate(16);
    const weight = arena.allocate(16);
    arena.float32(input, 4).set([1, -2, 3, 4]);
    arena.float32(weight, 4).set([1, 1, 2, 0.5]);
    const outputs = arena.allocate(64 * count);
    const epsilons = Array.from({ length: count }, (_, i) => 1e-5 * 1.37 ** i);
    pool.run(
      'rmsNorm',
      epsilons.map((epsilon, i) => [input, weight, outputs + 64 * i, 1, 4, epsilon]),
    );
    const expected = arena.allocate(16);
    for (const [i, epsilon] of epsilons.entries()) {
      wasm.rmsNorm(input, weight, expected, 1, 4, epsilon);
      expect([...arena.float32(outputs + 64 * i, 4)]).toEqual([...arena.float32(expected, 4)]);
    }
  });

  it('sees memory that was added after its workers started', async () => {
    const { arena, pool } = await startPool();
    arena.allocate(2 ** 24);
    const { calls, results } = additions(arena, 200);
    pool.run('add', calls);
    expect(results()).toEqual(Array.from({ length: 200 }, (_, i) => 3 + i));
  });

  it('runs modules that are first used after its workers started', async () => {
    const { arena, pool, instances } = await startPool();
    // A first run has the workers past their start, and asleep.
    const { calls } = additions(arena, 20);
    pool.run('add', calls);
    await new Promise((resolve) => setTimeout(resolve, 5));
    const packing = instances.use('packing', packingWasm);
    expect(instances.use('packing', packingWasm)).toBe(packing);
    const count = 200;
    const source = arena.copy(Uint8Array.from({ length: 64 }, (_, i) => i % 16));
    const expected = arena.allocate(32);
    packing.packRows(source, 1, 64, 4, expected, arena.allocate(64));
    const targets = arena.allocate(64 * count);
    const scratch = arena.allocate(64 * count);
    pool.run(
      'packRows',
      Array.from({ length: count }, (_, i): KernelCall<'packRows'> => {
        return [source, 1, 64, 4, targets + 64 * i, scratch + 64 * i];
      }),
    );
    for (let i = 0; i < count; i++) {
      expect(arena.uint8(targets + 64 * i, 32)).toEqual(arena.uint8(expected, 32));
    }
    pool.run('add', calls);
  });

  it('refuses an export with more arguments than a call has room for', async () => {
    const { pool } = await startPool({ threads: 2 });
    const withArguments = (count: number) =>
      new Function(...Array.from({ length: count }, (_, i) => `x${i}`), '') as () => void;
    const attach = (count: number) =>
      pool.attach({ name: 'packing', exports: { packRows: withArguments(count) }, bytes: undefined });
    attach(ring.slotLength - 1);
    expect(() => attach(ring.slotLength)).toThrow('packRows takes 24 arguments; a slot has room for 23');
  });

  it('reports a module that a worker cannot make an instance of', async () => {
    const { start, read } = watchedStart();
    const { pool } = await startPool({ threads: 2, start });
    // The caller leaves all calls but its first to the worker.
    const refineStrip = () => {
      while (read(words.finished) !== 2);
    };
    pool.attach({ name: 'codeRefinement', exports: { refineStrip }, bytes: Uint8Array.of(0, 97, 115, 109) });
    const call: KernelCall<'refineStrip'> = [0, 0, 0];
    expect(() => pool.run('refineStrip', [call, call, call])).toThrow(
      /a call of the kernels failed: CompileError/,
    );
  });

  it('makes a single call on the thread of the caller', async () => {
    let made = 0;
    const { pool } = await startPool({ add: () => made++ });
    pool.run('add', [outside]);
    pool.run('add', []);
    expect(made).toBe(1);
  });

  it('reports a call that fails, whoever makes it, and goes on working', async () => {
    const { arena, pool } = await startPool();
    const { calls, results } = additions(arena, 40);
    const error = catchError(() => pool.run('add', [...calls.slice(0, 20), outside, ...calls.slice(20)]));
    expect(error).toBeInstanceOf(ThreadError);
    expect((error as Error).message).toMatch(
      /a call of the kernels failed: RuntimeError: .*memory access out of bounds/,
    );
    expect(results()).toEqual(Array.from({ length: 40 }, (_, i) => 3 + i));
    pool.run('add', calls);
    expect(results()).toEqual(Array.from({ length: 40 }, (_, i) => 5 + 2 * i));
  });

  it('reports a call that fails in a worker', async () => {
    const { start, read } = watchedStart();
    // The caller leaves all calls but its first to the worker.
    const add = () => {
      while (read(words.finished) !== 2);
    };
    const { pool } = await startPool({ add, threads: 2, start });
    expect(() => pool.run('add', [outside, outside, outside])).toThrow('memory access out of bounds');
  });

  it('reports failures on both sides once', async () => {
    const { start, read } = watchedStart();
    let fails = true;
    // The caller leaves all calls but its first to the worker, and fails after it.
    const add = (...values: KernelCall<'add'>) => {
      if (!fails) return wasm.add(...values);
      while (read(words.finished) !== 2);
      throw new Error('on the thread of the caller');
    };
    const { arena, pool, wasm } = await startPool({ add, threads: 2, start });
    expect(() => pool.run('add', [outside, outside, outside])).toThrow('on the thread of the caller');
    fails = false;
    const { calls, results } = additions(arena, 4);
    pool.run('add', calls);
    expect(results()).toEqual([3, 4, 5, 6]);
  });

  it('cannot be used once it is closed, except for a single call', async () => {
    const { arena, pool } = await startPool();
    const { calls } = additions(arena, 2);
    pool.close();
    pool.close();
    const error = catchError(() => pool.run('add', calls));
    expect(error).toBeInstanceOf(ThreadError);
    expect((error as ThreadError).code).toBe('LBS_THREAD');
    expect((error as Error).message).toContain('they were closed. Create new kernels');
    pool.run('add', calls.slice(0, 1));
  });
});

describe('a worker that is lost', () => {
  /** Workers that do nothing; `steal` takes a call as one of them would. */
  function idleWorkers() {
    let message: WorkerMessage | undefined;
    const ends: ((reason: unknown) => void)[] = [];
    let terminated = 0;
    const start: StartWorker = async (first, onEnd) => {
      message = first;
      ends.push(onEnd);
      return { terminate: () => terminated++ };
    };
    const steal = () => Atomics.add(new Int32Array(message!.control), words.claimed, 1);
    return { start, ends, steal, terminated: () => terminated };
  }

  it('between two runs is an error of the next, and ends the others', async () => {
    const { start, ends, terminated } = idleWorkers();
    const { arena, pool } = await startPool({ start });
    const { calls } = additions(arena, 2);
    pool.run('add', calls);
    ends[1]!('it ended with code 7');
    expect(terminated()).toBe(2);
    expect(() => pool.run('add', calls)).toThrow('a worker ended: it ended with code 7');
  });

  /** Real workers that can be ended as a system would that lacks memory: behind the back of the pool. */
  function mortalWorkers() {
    const running: RunningWorker[] = [];
    const reasons: unknown[] = [];
    const watched = watchedStart(async (message, onEnd) => {
      const worker = await startWorker(message, (reason) => {
        reasons.push(reason);
        onEnd(reason);
      });
      running.push(worker);
      return worker;
    });
    const kill = () => {
      for (const worker of running) worker.terminate();
    };
    return { ...watched, kill, reasons };
  }

  // A browser gives no event where a worker is ended, but then it has taken no call either.
  it.runIf('process' in globalThis)('is noticed when it ends between two runs', async () => {
    const { start, kill, reasons } = mortalWorkers();
    const { arena, pool } = await startPool({ start, threads: 2 });
    const { calls } = additions(arena, 20);
    pool.run('add', calls);
    kill();
    await until(() => reasons.length > 0);
    expect(() => pool.run('add', calls)).toThrow('a worker ended: it ended with code 1');
  });

  it('is given up when it ends in the middle of a call', async () => {
    const { start, read, kill } = mortalWorkers();
    // The caller leaves the long call to the worker, and ends it there.
    const rmsNorm = () => {
      const published = read(words.published);
      while (read(words.claimed) !== published);
      kill();
    };
    const { arena, pool, wasm } = await startPool({ start, threads: 2, patience: 1 });
    pool.attach({ name: 'decoding', exports: { ...wasm, rmsNorm }, bytes: undefined });
    const place = arena.allocate(64);
    // Norms of no width: some ten seconds of work, if nobody ended it.
    const long: KernelCall<'rmsNorm'> = [place, place, place, 2 ** 32 - 1, 0, 1];
    expect(() => pool.run('rmsNorm', [long, long])).toThrow('no call has ended for 1 seconds');
    expect(() => pool.run('rmsNorm', [long, long])).toThrow(ThreadError);
  });

  it('in the middle of a call is an error when nothing has happened for long enough', async () => {
    const { start, steal, terminated } = idleWorkers();
    const { pool } = await startPool({ add: () => steal(), start, threads: 2, patience: 1 });
    expect(() => pool.run('add', [outside, outside])).toThrow('no call has ended for 1 seconds');
    expect(terminated()).toBe(1);
    expect(() => pool.run('add', [outside, outside])).toThrow(ThreadError);
  });

  it('that does not start makes the pool fail, and ends those that did', async () => {
    const { start, terminated } = idleWorkers();
    let count = 0;
    const failing: StartWorker = (message, onEnd) =>
      ++count === 2 ? Promise.reject(new ThreadError('no')) : start(message, onEnd);
    await expect(startPool({ start: failing })).rejects.toThrow('no.');
    expect(terminated()).toBe(1);
  });

  it('whose module does not fit the memory is reported as it starts', async () => {
    const modules = await compileDecoder({ shared: false, simd: 'plain' });
    await expect(startPool({ modules })).rejects.toThrow(/a worker of the kernels did not start: .*shared/);
  });
});
