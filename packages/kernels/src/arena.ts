import { InvalidArgumentError } from '@lbs/format';
import { MemoryLimitError } from './memory-limit-error.js';

/** Byte address in the memory, 0 to 2^32 - 1. */
export type Pointer = number;

const pageBytes = 65536;
/** The last page stays unused, so that the end of an array is an address too. */
const limitBytes = 65535 * pageBytes;
/**
 * Growing detaches all views, and makes the engine collect garbage: so it is done in steps of at least 1 MiB, and by a quarter of what there is. Pages
 * that are not used take no memory.
 */
const leastGrowthPages = 16;
const growthShare = 1 / 4;
/** Address 0 stays free to mean "none". */
const firstPointer = 4096;

/** Hands out parts of one WebAssembly memory, last in, first out. */
export class Arena {
  readonly memory: WebAssembly.Memory;
  #top = firstPointer;

  /** A memory that is `shared` can be used by several threads. */
  constructor(initialBytes: number, shared = false) {
    if (!(initialBytes >= 0 && initialBytes <= limitBytes)) {
      throw new InvalidArgumentError(`initialBytes must be from 0 to ${limitBytes}, not ${initialBytes}`);
    }
    this.memory = new WebAssembly.Memory({
      initial: Math.max(1, Math.ceil(initialBytes / pageBytes)),
      maximum: 65536,
      shared,
    });
  }

  /**
   * Address of `bytes` new bytes; their contents are undefined. `alignment` is a power of two. Detaches views where the memory
   * has to grow. Throws MemoryLimitError beyond 4 GiB.
   */
  allocate(bytes: number, alignment = 64): Pointer {
    if (!Number.isInteger(bytes) || bytes < 0) {
      throw new InvalidArgumentError(`an allocation needs a whole number of bytes, not ${bytes}`);
    }
    if (!Number.isInteger(Math.log2(alignment))) {
      throw new InvalidArgumentError(`alignment must be a power of two, not ${alignment}`);
    }
    const pointer = Math.ceil(this.#top / alignment) * alignment;
    this.#ensure(pointer + bytes, bytes);
    this.#top = pointer + bytes;
    return pointer;
  }

  /** The present top, for `release`. */
  mark(): Pointer {
    return this.#top;
  }

  /** Takes back everything allocated since `mark` was taken. Throws InvalidArgumentError for a mark above the top. */
  release(mark: Pointer): void {
    if (!(mark >= firstPointer && mark <= this.#top)) {
      throw new InvalidArgumentError(`mark ${mark} was not taken below the present top ${this.#top}`);
    }
    this.#top = mark;
  }

  /** Runs `use` with the arena, then takes back everything it allocated, also when it throws. */
  withScratch<T>(use: () => T): T {
    const mark = this.mark();
    try {
      return use();
    } finally {
      this.release(mark);
    }
  }

  /** Address of a copy of `values`. */
  copy(values: Float32Array | Uint32Array | Uint8Array): Pointer {
    const pointer = this.allocate(values.byteLength);
    this.uint8(pointer, values.byteLength).set(
      new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
    );
    return pointer;
  }

  float32(pointer: Pointer, length: number): Float32Array {
    return new Float32Array(this.memory.buffer, pointer, length);
  }

  uint32(pointer: Pointer, length: number): Uint32Array {
    return new Uint32Array(this.memory.buffer, pointer, length);
  }

  int16(pointer: Pointer, length: number): Int16Array {
    return new Int16Array(this.memory.buffer, pointer, length);
  }

  uint8(pointer: Pointer, length: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, pointer, length);
  }

  #ensure(end: number, requested: number): void {
    const present = this.memory.buffer.byteLength;
    if (end <= present) return;
    const problem = `${requested} more bytes do not fit: ${this.#top} of ${limitBytes} bytes of WebAssembly memory are in use`;
    const mend = 'Load fewer or smaller matrices, or spread them over several kernels instances.';
    if (end > limitBytes) throw new MemoryLimitError(problem, { mend });
    const pages = Math.ceil((end - present) / pageBytes);
    const ample = Math.max(pages, leastGrowthPages, Math.ceil((growthShare * present) / pageBytes));
    try {
      this.memory.grow(Math.min(ample, (limitBytes - present) / pageBytes));
    } catch {
      try {
        this.memory.grow(pages);
      } catch (cause) {
        throw new MemoryLimitError(problem, { mend, cause });
      }
    }
  }
}
