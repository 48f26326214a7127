import { InvalidArgumentError, type QuantizedMatrix } from '@lbs/format';
import { Arena, type Pointer } from './arena.js';
import { compileDecoder, compileOthers } from './compile-decoder.js';
import { loadDenseMatrix } from './dense-matrix.js';
import { type KernelParts, setParts } from './kernel-parts.js';
import type { Matrix, MatrixOperations } from './matrix.js';
import { ModuleInstances } from './module-instances.js';
import { loadOffsetMatrix } from './offset-matrix.js';
import { type LoadOptions, loadQuantizedMatrix } from './quantized-matrix.js';
import type { ServedModules } from './served-modules.js';
import { chooseSimd, type SimdInstructions } from './simd.js';
import { canShareMemory } from './start-worker.js';
import { singleThread, type ThreadPool } from './thread-pool.js';
import type { DecoderExports, Int8ProductsExports } from './wasm-exports.js';
import { WorkerPool } from './worker-pool.js';

/** Shape of one attention step. */
export interface AttentionShape {
  /** New tokens, whose keys and values are in the cache already. */
  readonly tokens: number;
  /** Query heads; a multiple of kvHeads. */
  readonly heads: number;
  /** Key and value heads; each serves heads / kvHeads consecutive query heads. */
  readonly kvHeads: number;
  /** Dimensions of a head, a multiple of 4. */
  readonly headDim: number;
  /** Position of the first new token. */
  readonly start: number;
  /** What products of queries and keys are multiplied with. Default 1 / sqrt(headDim). */
  readonly scale?: number | undefined;
  /** Positions that a token sees, itself the last of them. Default all. */
  readonly window?: number | undefined;
  /** Scores x become cap * tanh(x / cap). Default: they stay as they are. */
  readonly softcap?: number | undefined;
  /** Where the attention that each position receives is added up. */
  readonly received?: AttentionSums | undefined;
}

/** What is rotated. */
export interface RotationShape extends Pick<AttentionShape, 'tokens' | 'heads' | 'headDim' | 'start'> {
  /** Dimensions at the front of each head that turn; default all of them. */
  readonly rotaryDim?: number | undefined;
}

/** `activate` of assembly/activations.ts. */
const activationKinds = { silu: 0, gelu: 1, geluTanh: 2, relu: 3 } as const;

/**
 * x / (1 + e^-x); x times the normal distribution function (arXiv 1606.08415), exactly or with its approximation by the hyperbolic tangent; or
 * max(x, 0).
 */
export type Activation = keyof typeof activationKinds;

/** Columns of one array that are copied to columns of another, row by row. */
export interface ColumnCopy {
  readonly rows: number;
  /** Columns to copy. */
  readonly width: number;
  readonly sourceColumns: number;
  readonly firstSource: number;
  readonly targetColumns: number;
  readonly firstTarget: number;
}

/** Sums of attention probabilities over tokens, float32 [heads, stride]: of each head for each position. */
export interface AttentionSums {
  readonly pointer: Pointer;
  /** At least the number of positions. */
  readonly stride: number;
}

/** How kernels begin. */
export interface KernelsOptions {
  /** Size of the memory at the start; it grows on demand. Default 1 MiB. */
  readonly initialBytes?: number;
  /**
   * Threads that compute, the caller's among them; default 1. More than one need shared memory, which browsers give only to pages
   * that are isolated from other origins: elsewhere there is one thread, as `Kernels.threads` says. Results do not depend on it.
   */
  readonly threads?: number;
  /**
   * The instructions of products and all else that a decoder computes. Default relaxed SIMD where the engine has it, which is faster: current
   * browsers and Node from 22 on, Node 20 with the flag --experimental-wasm-relaxed-simd. Results do not depend on it. `relaxed` throws
   * UnsupportedError where the engine lacks it.
   */
  readonly simd?: SimdInstructions;
  /**
   * Where a page serves modules as files, which are compiled while they arrive. Those of the decoder are fetched for the instructions that are
   * used, all others that are named at once. What is not named is taken from the JavaScript, as is everything by default.
   */
  readonly modules?: ServedModules;
}

/** How many multiplications of a matrix product take as long as one element of these, as measured (0.04 ns each). */
const elementWork = {
  rmsNorm: 5,
  rotate: 3,
  exponential: 45,
  swiGlu: 50,
  activation: 60,
  layerNorm: 8,
} as const;

/** More than any machine that this is made for has cores; a number above it is a mistake. */
const mostThreads = 256;

/**
 * The kernels over one WebAssembly memory of up to 4 GiB. Arrays are float32 unless said otherwise, row-major, and named by
 * their address. Addresses are not checked: an array must lie in memory that `allocate` gave.
 */
export class Kernels {
  readonly #arena: Arena;
  readonly #wasm: DecoderExports;
  readonly #int8: Int8ProductsExports | undefined;
  readonly #pool: ThreadPool;
  /** The instructions that products are built from. */
  readonly simd: SimdInstructions;
  readonly #operations = new WeakMap<Matrix, MatrixOperations>();

  /** Use `createKernels`. */
  constructor({ arena, instances, pool }: Omit<KernelParts, 'operationsOf'>, simd: SimdInstructions) {
    this.simd = simd;
    this.#arena = arena;
    this.#wasm = { ...instances.compiled('decoding'), ...instances.compiled('prefill') };
    this.#int8 = simd === 'relaxed' ? instances.compiled('int8Products') : undefined;
    this.#pool = pool;
    setParts(this, { arena, instances, pool, operationsOf: (matrix) => this.#operationsOf(matrix) });
  }

  /** Threads that compute, the caller's among them. */
  get threads(): number {
    return this.#pool.threads;
  }

  /**
   * Ends the threads beside the caller's; may be called more than once. What needs them throws ThreadError from then on. With one
   * thread there is nothing to end. Without it, threads end with the process (Node) or the page.
   */
  close(): void {
    this.#pool.close();
  }

  /** Bytes in use. */
  get bytes(): number {
    return this.#arena.mark();
  }

  /**
   * Address of `bytes` new bytes with undefined contents; `alignment` is a power of two. May detach views. Throws
   * MemoryLimitError beyond 4 GiB.
   */
  allocate(bytes: number, alignment = 64): Pointer {
    return this.#arena.allocate(bytes, alignment);
  }

  /** A mark for `release`. */
  mark(): Pointer {
    return this.#arena.mark();
  }

  /** Takes back everything that was allocated or loaded since `mark` was taken. */
  release(mark: Pointer): void {
    this.#arena.release(mark);
  }

  /** A fresh view. Do not hold it across an allocation, a load or a `multiply`: growth detaches it. */
  float32(pointer: Pointer, length: number): Float32Array {
    return this.#arena.float32(pointer, length);
  }

  /** A fresh view, as `float32`. */
  uint32(pointer: Pointer, length: number): Uint32Array {
    return this.#arena.uint32(pointer, length);
  }

  /** A fresh view, as `float32`. */
  uint8(pointer: Pointer, length: number): Uint8Array {
    return this.#arena.uint8(pointer, length);
  }

  /** Copies float32 weights [rows, columns]. */
  loadDense(weights: Float32Array, rows: number, columns: number): Matrix {
    return this.#register(() => loadDenseMatrix(this.#arena, this.#pool, weights, rows, columns));
  }

  /**
   * Copies a quantized matrix: its codes stay packed. `activations` say what its products round, see `ActivationPrecision`. Throws InvalidArgumentError
   * where a part has the wrong size, and for offsets of columns that are no whole groups.
   */
  loadQuantized(matrix: QuantizedMatrix, { offsets, ...options }: LoadOptions = {}): Matrix {
    const kernels = { arena: this.#arena, pool: this.#pool, wasm: this.#wasm, int8: this.#int8 };
    return this.#register(() =>
      offsets
        ? loadOffsetMatrix(kernels, matrix, offsets, options)
        : loadQuantizedMatrix(kernels, matrix, options),
    );
  }

  /**
   * Copies other float32 weights [rows, columns] over those of a matrix that `loadDense` made; it takes no more memory. Throws
   * InvalidArgumentError for another number of weights, and for a quantized matrix.
   */
  overwriteDense(matrix: Matrix, weights: Float32Array): void {
    const operations = this.#operationsOf(matrix);
    if (!operations.overwrite) {
      throw new InvalidArgumentError('the matrix is quantized; only a dense one can be overwritten');
    }
    operations.overwrite(weights);
  }

  /**
   * output [tokens, rows] = input [tokens, columns] times the matrix transposed. Output must not overlap the input.
   *
   * A dense matrix is multiplied in float32. For a quantized one the activations are rounded to int16, unless it was loaded otherwise, with one
   * scale a token and a chunk of gcd(64, group size) columns, scale = max(|x|, 2^-64) / 32767, or / 127 for int8; products are exact
   * int32 sums a chunk. Against the weights that `dequantize` gives, each d + s of its code and its salient part, the error of an output is at most
   *
   *     sum over chunks of (scale / 2 * sum |d|)  +  (chunks + salient weights of the row + 8) * 2^-23 * sum (|d| + |s|) |x|,
   *
   * and with float32 activations (columns / 4 + 8) * 2^-23 * sum (|d| + |s|) |x| + columns * 2^-150.
   *
   * A token's result is the same bits in a batch of any size; only the salient weights' part is summed in another order from
   * 8 tokens on (within the bound above). Inputs that are NaN or infinite give NaN.
   */
  multiply(matrix: Matrix, input: Pointer, output: Pointer, tokens: number): void {
    this.#operationsOf(matrix).multiply(input, output, tokens);
  }

  /**
   * output [rows.length, columns] = the chosen rows of the matrix (an embedding lookup); of a quantized matrix, exactly what
   * `dequantize` gives. Throws InvalidArgumentError for a row that does not exist.
   */
  gather(matrix: Matrix, rows: ArrayLike<number>, output: Pointer): void {
    const operations = this.#operationsOf(matrix);
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!;
      if (!(Number.isInteger(row) && row >= 0 && row < matrix.rows)) {
        throw new InvalidArgumentError(`row ${row} is not one of the ${matrix.rows} rows of the matrix`);
      }
      operations.copyRow(row, output + 4 * i * matrix.columns);
    }
  }

  /** output [tokens, width] = input / sqrt(mean(input^2) + epsilon) * weight [width]. Output may be the input. */
  rmsNorm(
    input: Pointer,
    weight: Pointer,
    output: Pointer,
    tokens: number,
    width: number,
    epsilon: number,
  ): void {
    this.#pool.split(
      'rmsNorm',
      { count: tokens, step: 1, work: elementWork.rmsNorm * width },
      (first, end) => {
        const offset = 4 * first * width;
        return [input + offset, weight, output + offset, end - first, width, epsilon];
      },
    );
  }

  /**
   * output [tokens, width] = (input - mean) / sqrt(variance + epsilon) * weight [width] + bias [width] (arXiv 1607.06450). Output may be the
   * input.
   */
  layerNorm(
    input: Pointer,
    { weight, bias }: { readonly weight: Pointer; readonly bias: Pointer },
    output: Pointer,
    tokens: number,
    width: number,
    epsilon: number,
  ): void {
    this.#pool.split(
      'layerNorm',
      { count: tokens, step: 1, work: elementWork.layerNorm * width },
      (first, end) => {
        const offset = 4 * first * width;
        return [input + offset, weight, bias, output + offset, end - first, width, epsilon];
      },
    );
  }

  /**
   * Rotary position embedding in place on the first `rotaryDim` dimensions of each head of [tokens, heads, headDim], where dimension i turns
   * with dimension i + rotaryDim / 2. `cosines` and `sines` are [positions, rotaryDim / 2]; token t has position start + t.
   */
  rotate(values: Pointer, cosines: Pointer, sines: Pointer, shape: RotationShape): void {
    const { tokens, heads, headDim, rotaryDim = headDim, start } = shape;
    if (rotaryDim % 2) throw new InvalidArgumentError(`headDim must be even, not ${rotaryDim}`);
    const width = heads * headDim;
    this.#pool.split('rotate', { count: tokens, step: 1, work: elementWork.rotate * width }, (first, end) => {
      const count = end - first;
      return [values + 4 * first * width, cosines, sines, count, heads, headDim, rotaryDim, start + first];
    });
  }

  /** Copies columns of source [rows, sourceColumns] to columns of target [rows, targetColumns]. The two must not overlap. */
  copyColumns(source: Pointer, target: Pointer, copy: ColumnCopy): void {
    const { rows, width, sourceColumns, firstSource, targetColumns, firstTarget } = copy;
    const values = this.float32(0, this.#arena.memory.buffer.byteLength / 4);
    for (let row = 0; row < rows; row++) {
      const begin = source / 4 + row * sourceColumns + firstSource;
      values.copyWithin(target / 4 + row * targetColumns + firstTarget, begin, begin + width);
    }
  }

  /** Copies new keys or values [tokens, width] into a cache [capacity, width] at position `start`; width = kvHeads * headDim. */
  store(source: Pointer, cache: Pointer, start: number, tokens: number, width: number): void {
    const target = cache + 4 * start * width;
    this.uint8(0, this.#arena.memory.buffer.byteLength).copyWithin(
      target,
      source,
      source + 4 * tokens * width,
    );
  }

  /**
   * Causal attention: output [tokens, heads, headDim] from queries of that shape over caches of keys and values
   * [capacity, kvHeads, headDim]. Token t sees the positions 0 to start + t, or the last `window` of them.
   */
  attend(queries: Pointer, keys: Pointer, values: Pointer, output: Pointer, shape: AttentionShape): void {
    const { tokens, heads, kvHeads, headDim, start, received, window = 2 ** 32 - 1, softcap = 0 } = shape;
    // Rounded twice, as the quotient of float32 numbers is.
    const scale = shape.scale ?? Math.fround(1 / Math.fround(Math.sqrt(headDim)));
    if (headDim % 4) throw new InvalidArgumentError(`headDim must be a multiple of 4, not ${headDim}`);
    if (heads % kvHeads)
      throw new InvalidArgumentError(`${heads} heads are not a multiple of ${kvHeads} key heads`);
    const scores = tokens * (start + (tokens + 1) / 2);
    const work = scores * (2 * headDim + elementWork.exponential);
    this.#arena.withScratch(() => {
      this.#pool.split('attend', { count: heads, step: 1, work }, (first, end) => {
        const scratch = this.#arena.allocate(4 * (start + tokens + 4));
        return [
          ...([queries, keys, values, output, tokens, heads, kvHeads, headDim, start, first, end] as const),
          ...([scratch, received?.pointer ?? 0, received?.stride ?? 0, scale, window, softcap] as const),
        ];
      });
    });
  }

  /** output[i] = silu(gate[i]) * up[i], silu(x) = x / (1 + e^-x). Output may be either input. */
  swiGlu(gate: Pointer, up: Pointer, output: Pointer, length: number): void {
    this.#pool.split('swiGlu', { count: length, step: 16, work: elementWork.swiGlu }, (first, end) => {
      return [gate + 4 * first, up + 4 * first, output + 4 * first, end - first];
    });
  }

  /** output[i] = activation(gate[i]), times up[i] where there is an `up`. Output may be either input. */
  activate(
    activation: Activation,
    operands: { readonly gate: Pointer; readonly up?: Pointer | undefined; readonly output: Pointer },
    length: number,
  ): void {
    const { gate, up, output } = operands;
    this.#pool.split('activate', { count: length, step: 16, work: elementWork.activation }, (first, end) => {
      const offset = 4 * first;
      return [
        activationKinds[activation],
        gate + offset,
        up === undefined ? 0 : up + offset,
        output + offset,
        end - first,
      ];
    });
  }

  /** values[i] *= factor. */
  scale(values: Pointer, factor: number, length: number): void {
    this.#wasm.scale(values, factor, length);
  }

  /** values[i] = min(max(values[i], -limit), limit). */
  clamp(values: Pointer, limit: number, length: number): void {
    this.#wasm.clamp(values, limit, length);
  }

  /** values[i] = cap * tanh(values[i] / cap). */
  softcap(values: Pointer, cap: number, length: number): void {
    this.#wasm.softcap(values, cap, length);
  }

  /** target[i] += source[i]. */
  add(target: Pointer, source: Pointer, length: number): void {
    this.#wasm.add(target, source, length);
  }

  /** values[i] = e^values[i], within 2 ulp. */
  exponential(values: Pointer, length: number): void {
    this.#wasm.exponentials(values, length);
  }

  /** Index of the greatest value, the lowest of equal ones. NaN is never chosen; 0 where nothing is above -Infinity. */
  argmax(values: Pointer, length: number): number {
    return this.#wasm.argmax(values, length) >>> 0;
  }

  /** A load that fails leaves nothing behind. */
  #register(load: () => [Matrix, MatrixOperations]): Matrix {
    const mark = this.mark();
    try {
      const [matrix, operations] = load();
      this.#operations.set(matrix, operations);
      return matrix;
    } catch (error) {
      this.release(mark);
      throw error;
    }
  }

  #operationsOf(matrix: Matrix): MatrixOperations {
    const operations = this.#operations.get(matrix);
    if (!operations) throw new InvalidArgumentError('the matrix was not loaded into these kernels');
    return operations;
  }
}

/**
 * Compiles what a decoder needs (once) and gives it a memory of its own; resolves when all threads are ready. Throws ThreadError where
 * they cannot be started, UnsupportedError for relaxed SIMD that the engine lacks, FileAccessError and MalformedFileError for served modules
 * that cannot be fetched or are of another version.
 */
export async function createKernels(options: KernelsOptions = {}): Promise<Kernels> {
  const { initialBytes = 2 ** 20, threads = 1 } = options;
  if (!(Number.isInteger(threads) && threads >= 1 && threads <= mostThreads)) {
    throw new InvalidArgumentError(`threads must be a whole number from 1 to ${mostThreads}, not ${threads}`);
  }
  const simd = chooseSimd(options.simd);
  const shared = threads > 1 && canShareMemory();
  const arena = new Arena(initialBytes, shared);
  const { memory } = arena;
  const compileOptions = { shared, simd, served: options.modules };
  const [decoder, others] = await Promise.all([
    compileDecoder(compileOptions),
    compileOthers(compileOptions),
  ]);
  const modules = { ...decoder, ...others };
  const pool = shared ? await WorkerPool.start({ modules, memory, threads }) : singleThread();
  return new Kernels({ arena, instances: new ModuleInstances(memory, pool, modules), pool }, simd);
}
