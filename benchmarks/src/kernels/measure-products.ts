import { type ActivationPrecision, createKernels, type Kernels, type SimdInstructions } from '@lbs/kernels';
import { Bench } from 'tinybench';
import { quantile } from '../speed.js';
import type { KernelCase, MatrixShape } from './kernel-cases.js';
import { MemoryReader } from './memory-reader.js';
import { randomActivations, randomMatrix } from './random-matrix.js';

export interface ProductOptions {
  readonly shape: MatrixShape;
  readonly cases: readonly KernelCase[];
  readonly threads: readonly number[];
  readonly activations: readonly ActivationPrecision[];
  readonly simd: SimdInstructions;
  /** Tokens of a product: 1 for decoding, more for prefill. */
  readonly tokens: readonly number[];
  /** Times that everything is measured, in turn. */
  readonly rounds: number;
  /**
   * There are copies of a matrix of together at least so many bytes, and passes of decoding go round them, so that they come from the memory
   * and not from a cache.
   */
  readonly streamBytes: number;
  /** A pass of decoding, or of reading, takes at least so many bytes: little time, so that other work of the machine misses some passes. */
  readonly passBytes: number;
}

/** Seconds of a pass. On a machine with other work, the least say more of the code than the median does. */
export interface Seconds {
  readonly least: number;
  readonly median: number;
  readonly lowerQuartile: number;
  readonly upperQuartile: number;
}

/** A product of one matrix with so many tokens. */
export interface ProductMeasurement extends MatrixShape {
  readonly name: string;
  /** Absent for float32 weights. */
  readonly activations?: ActivationPrecision;
  readonly threads: number;
  readonly tokens: number;
  /** Bytes that the matrix takes in the memory. */
  readonly bytes: number;
  /** Of one product. */
  readonly seconds: Seconds;
}

/** Reading memory from the first to the last byte. */
export interface BandwidthMeasurement {
  readonly threads: number;
  readonly bytes: number;
  readonly seconds: Seconds;
}

export interface ShapeMeasurements {
  readonly products: readonly ProductMeasurement[];
  readonly bandwidth: readonly BandwidthMeasurement[];
}

/** Products of many tokens take long, and their time varies little: they are measured in one round of so many. */
const roundsOfPrefill = 5;

/** One thing that is measured in every round, or in some. */
interface Pass {
  /** Default 1. */
  readonly every?: number;
  readonly prepare?: () => Promise<void>;
  readonly run: () => void;
  /** Turns the seconds of a pass into a measurement. */
  readonly finish: (seconds: Seconds) => void;
}

/**
 * Measures all products with matrices of one shape, and the bandwidth beside them, round by round, so that a change of the machine's speed
 * meets all of them.
 */
export async function measureProducts(options: ProductOptions): Promise<ShapeMeasurements> {
  const products: ProductMeasurement[] = [];
  const bandwidth: BandwidthMeasurement[] = [];
  const passes: Pass[] = [];
  const closed: (() => unknown)[] = [];
  for (const threads of options.threads) {
    const reader = await MemoryReader.start(threads, options.streamBytes, options.passBytes);
    closed.push(() => reader.close());
    passes.push({
      prepare: () => reader.prepare(),
      run: () => reader.readOnce(),
      finish: (seconds) => bandwidth.push({ threads, bytes: reader.passBytes, seconds }),
    });
    const kernels = await createKernels({ threads, simd: options.simd });
    closed.push(() => kernels.close());
    passes.push(...productPasses(kernels, options, (product) => products.push(product)));
  }
  await runPasses(passes, options.rounds);
  for (const close of closed) await close();
  return { products, bandwidth };
}

function productPasses(
  kernels: Kernels,
  { shape, cases, activations, tokens, streamBytes, passBytes }: ProductOptions,
  add: (product: ProductMeasurement) => void,
): Pass[] {
  const { rows, columns } = shape;
  const mostTokens = Math.max(...tokens);
  const input = kernels.allocate(4 * mostTokens * columns);
  const output = kernels.allocate(4 * mostTokens * rows);
  kernels.float32(input, mostTokens * columns).set(randomActivations(mostTokens * columns));
  const loads = cases.flatMap(({ name, format }) => {
    if (!format) {
      const weights = randomActivations(rows * columns);
      return [{ name, load: () => kernels.loadDense(weights, rows, columns) }];
    }
    const matrix = randomMatrix(format, shape);
    return activations.map((precision) => ({
      ...{ name, activations: precision },
      load: () => kernels.loadQuantized(matrix, { activations: precision }),
    }));
  });
  return loads.flatMap(({ load, ...what }) => {
    const matrices = [load()];
    const { bytes } = matrices[0]!;
    while (tokens.includes(1) && matrices.length * bytes < streamBytes) matrices.push(load());
    return tokens.map((count): Pass => {
      const products = count === 1 ? Math.ceil(passBytes / bytes) : 1;
      let next = 0;
      return {
        every: count === 1 ? 1 : roundsOfPrefill,
        run() {
          for (let i = 0; i < products; i++) {
            kernels.multiply(matrices[next]!, input, output, count);
            next = (next + 1) % matrices.length;
          }
        },
        finish: (seconds) =>
          add({
            ...{ ...shape, ...what, bytes, tokens: count, threads: kernels.threads },
            seconds: mapSeconds(seconds, (each) => each / products),
          }),
      };
    });
  });
}

function mapSeconds(
  { least, lowerQuartile, median, upperQuartile }: Seconds,
  map: (seconds: number) => number,
): Seconds {
  return {
    least: map(least),
    lowerQuartile: map(lowerQuartile),
    median: map(median),
    upperQuartile: map(upperQuartile),
  };
}

/** Two rounds before the others warm up: the engine compiles a function anew once it has run often. */
async function runPasses(passes: readonly Pass[], rounds: number): Promise<void> {
  const seconds: number[][] = passes.map(() => []);
  for (let round = -2; round < rounds; round++) {
    for (const [i, { every = 1, prepare, run }] of passes.entries()) {
      if (round >= 0 && round % every !== 0) continue;
      const bench = new Bench({ iterations: 1, time: 0, warmup: false, retainSamples: true });
      bench.add('pass', run, { async: false });
      await prepare?.();
      await bench.run();
      const result = bench.tasks[0]?.result;
      if (result?.state !== 'completed') throw new Error('a product was not measured');
      if (round >= 0) seconds[i]!.push(...(result.latency.samples ?? []).map((ms) => ms / 1000));
    }
  }
  for (const [i, { finish }] of passes.entries()) {
    const ascending = seconds[i]!.sort((a, b) => a - b);
    finish({
      least: quantile(ascending, 0),
      median: quantile(ascending, 0.5),
      lowerQuartile: quantile(ascending, 0.25),
      upperQuartile: quantile(ascending, 0.75),
    });
  }
}
