import { moduleNames } from './wasm-exports.js';

/**
 * The block that the caller and the workers share, as int32 words; what different threads write is in different cache
 * lines. Calls are numbered by tickets that wrap around at 2^32: those from `finished` to `claimed` are being computed, those
 * from `claimed` to `published` are still free.
 */
export const words = {
  /** Ticket behind the last call that the caller wrote. */
  published: 0,
  /** Ticket of the next call that nobody has taken; taking one is a compare and exchange. */
  claimed: 16,
  /** Number of calls that ended, as a ticket. */
  finished: 32,
  /** Workers that sleep until `published` changes. */
  sleepers: 48,
  /** 1 while the caller sleeps until `finished` changes. */
  callerSleeps: 64,
  /** Characters of `failureText`; not 0 once a call has thrown in a worker. */
  failure: 80,
  /** Lengths in bytes of what `moduleBytes` holds of each module: written before the first call of the module. */
  moduleLengths: 96,
} as const;

/** Code units of the message of the first failure, behind the words. */
export const failureText = { offset: 512, length: 256 } as const;

/**
 * A ring of calls behind it, float64 so that every argument is exact: the export by `exportNumber`, then its arguments. WebAssembly ignores
 * what is behind the last argument.
 */
export const calls = { offset: 1024, slots: 256, slotLength: 24 } as const;

/** The most exports that a module may have. */
const mostExports = 256;

/** Which export a call is of, by the places of its module and of itself in it. */
export function exportNumber(module: number, place: number): number {
  return module * mostExports + place;
}

/** The binaries of modules that are first used after the workers started; scripts/wasm-modules.mjs has them fit. */
export const moduleBytes = {
  offset: calls.offset + 8 * calls.slots * calls.slotLength,
  most: 65536,
} as const;

/** Bytes of the shared block. */
export const controlBytes = moduleBytes.offset + moduleBytes.most * moduleNames.length;

/**
 * How long a thread that has nothing to do watches the block before it sleeps, in milliseconds: waking costs more than the
 * pauses between the products of one token.
 */
export const spinMilliseconds = 0.1;

/** The first and only message to a worker. */
export interface WorkerMessage {
  /** The modules that are there from the start, each in the place of its name in `moduleNames`. */
  readonly modules: readonly (WebAssembly.Module | undefined)[];
  readonly memory: WebAssembly.Memory;
  /** The shared block. */
  readonly control: SharedArrayBuffer;
}

/** Written out: a call that spreads a typed array takes ten times as long. */
const slotArguments = Array.from({ length: calls.slotLength - 1 }, (_, i) => `slots[slot + ${i + 1}]`).join();

/**
 * What a worker runs, in Node and in browsers, as text, so that bundlers have nothing to find. It gets modules, the memory and the block in
 * its first message, says "ready", and takes calls until it is terminated. It never returns to its events, so other modules reach
 * it through the block.
 */
export const workerSource = `
const port = globalThis.process?.getBuiltinModule?.('node:worker_threads').parentPort ?? globalThis;
port.onmessage = ({ data: { modules, memory, control } }) => {
  const instantiate = (module) => Object.values(new WebAssembly.Instance(module, { env: { memory } }).exports);
  const functions = modules.map((module) => module && instantiate(module));
  const words = new Int32Array(control);
  const text = new Uint16Array(control, ${failureText.offset}, ${failureText.length});
  const slots = new Float64Array(control, ${calls.offset});
  // A copy, as what compiles does not take shared bytes.
  const load = (index) => {
    const start = ${moduleBytes.offset} + ${moduleBytes.most} * index;
    const bytes = new Uint8Array(control, start, words[${words.moduleLengths} + index]).slice();
    return instantiate(new WebAssembly.Module(bytes));
  };
  port.postMessage('ready');
  let idleSince = 0;
  for (;;) {
    const ticket = Atomics.load(words, ${words.claimed});
    const end = Atomics.load(words, ${words.published});
    if (ticket === end) {
      idleSince ||= performance.now();
      if (performance.now() - idleSince < ${spinMilliseconds}) continue;
      Atomics.add(words, ${words.sleepers}, 1);
      Atomics.wait(words, ${words.published}, end);
      Atomics.sub(words, ${words.sleepers}, 1);
      idleSince = 0;
      continue;
    }
    if (Atomics.compareExchange(words, ${words.claimed}, ticket, (ticket + 1) | 0) !== ticket) continue;
    idleSince = 0;
    const slot = (ticket & ${calls.slots - 1}) * ${calls.slotLength};
    try {
      const index = Math.floor(slots[slot] / ${mostExports});
      functions[index] ??= load(index);
      functions[index][slots[slot] % ${mostExports}](${slotArguments});
    } catch (error) {
      const message = String(error).slice(0, ${failureText.length});
      if (Atomics.compareExchange(words, ${words.failure}, 0, message.length) === 0) {
        for (let i = 0; i < message.length; i++) text[i] = message.charCodeAt(i);
      }
    }
    const finished = (Atomics.add(words, ${words.finished}, 1) + 1) | 0;
    if (finished === Atomics.load(words, ${words.published}) && Atomics.load(words, ${words.callerSleeps})) {
      Atomics.notify(words, ${words.finished});
    }
  }
};
`;
