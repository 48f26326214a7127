import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import asc from 'assemblyscript/asc';

/** Words of the block that the threads share. */
const words = { round: 0, finished: 1 } as const;

const pageBytes = 65536;

/** What a thread reads in each round, and with what. */
interface Share {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly control: SharedArrayBuffer;
  /** Windows [windows, length] of the memory, of which a round reads one after the other. */
  readonly start: number;
  readonly length: number;
  readonly windows: number;
}

/** Waits for rounds by spinning, so that a round begins at once. */
const workerSource = `
const { parentPort, workerData } = require('node:worker_threads');
const { module, memory, control, start, length, windows } = workerData;
const { readMemory } = new WebAssembly.Instance(module, { env: { memory } }).exports;
const words = new Int32Array(control);
parentPort.on('message', () => {
  const round = Atomics.load(words, ${words.round});
  parentPort.postMessage('ready');
  while (Atomics.load(words, ${words.round}) === round);
  const first = start + (round % windows) * length;
  readMemory(first, first + length);
  Atomics.add(words, ${words.finished}, 1);
});
`;

/** Reads a block of memory with WebAssembly vectors on several threads: the speed that a kernel could at best have. */
export class MemoryReader {
  readonly #read: (round: number) => void;
  readonly #words: Int32Array;
  readonly #workers: readonly Worker[];

  private constructor(
    /** Bytes of a round. */
    readonly passBytes: number,
    read: (round: number) => void,
    control: SharedArrayBuffer,
    workers: readonly Worker[],
  ) {
    this.#read = read;
    this.#words = new Int32Array(control);
    this.#workers = workers;
  }

  /**
   * A reader that goes round `bytes` of memory, about `passBytes` a round. Each thread has its own part; windows of it are multiples of 64 KiB.
   */
  static async start(threads: number, bytes: number, passBytes: number): Promise<MemoryReader> {
    const length = Math.ceil(passBytes / threads / pageBytes) * pageBytes;
    const windows = Math.ceil(bytes / (threads * length));
    const pages = (threads * windows * length) / pageBytes;
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    new Uint8Array(memory.buffer).fill(1);
    const module = await WebAssembly.compile(await compileReader());
    const control = new SharedArrayBuffer(64);
    const shares = Array.from({ length: threads }, (_, i) => ({
      ...{ module, memory, control, length, windows },
      start: i * windows * length,
    }));
    const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
    const readMemory = exports['readMemory'] as (start: number, end: number) => number;
    const read = (round: number) => {
      const first = (round % windows) * length;
      readMemory(first, first + length);
    };
    return new MemoryReader(threads * length, read, control, shares.slice(1).map(startWorker));
  }

  /** Waits until all threads are ready for a round. */
  async prepare(): Promise<void> {
    await Promise.all(
      this.#workers.map((worker) => {
        const ready = new Promise((resolve) => worker.once('message', resolve));
        worker.postMessage('prepare');
        return ready;
      }),
    );
  }

  /** A round: all threads read their part. */
  readOnce(): void {
    this.#words[words.finished] = 0;
    this.#read(Atomics.add(this.#words, words.round, 1));
    while (Atomics.load(this.#words, words.finished) < this.#workers.length);
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}

function startWorker(workerData: Share): Worker {
  return new Worker(workerSource, { eval: true, workerData });
}

async function compileReader(): Promise<Uint8Array<ArrayBuffer>> {
  let module: Uint8Array | undefined;
  const messages: string[] = [];
  const { error } = await asc.main(
    [
      ...['read-memory.ts', '--baseDir', fileURLToPath(new URL('../../assembly', import.meta.url))],
      ...['-O3', '--runtime', 'stub', '--enable', 'simd', '--enable', 'threads', '--sharedMemory'],
      ...['--importMemory', '--noExportMemory', '--initialMemory', '1', '--maximumMemory', '65536'],
      ...['--outFile', 'read-memory.wasm'],
    ],
    {
      stderr: { write: (text) => void messages.push(String(text)) },
      writeFile: (name, contents) => {
        if (name.endsWith('.wasm')) module = contents as Uint8Array;
      },
    },
  );
  if (error || !module) throw new Error(messages.join('') || String(error));
  return Uint8Array.from(module);
}
