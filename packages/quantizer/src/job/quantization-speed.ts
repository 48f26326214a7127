import { type Kernels, LinearAlgebra } from '@lbs/kernels';
import { InputStatistics } from '../calibration/input-statistics.js';
import type { ResolvedRule } from '../recipe/resolved-rule.js';
import type { QuantizationWork } from './estimate-quantization.js';
import { quantizeMatrix } from './quantize-matrix.js';

/** How fast a machine quantizes. */
export interface QuantizationSpeed {
  /** Seconds of one weight, by rule. */
  readonly solving: ReadonlyMap<ResolvedRule, number>;
  /** Seconds of one multiplication of a matrix product. */
  readonly product: number;
  /** Seconds of a factorization over columns^3. */
  readonly factorization: number;
}

/** A sample is large enough to be typical, and takes a fraction of a second. */
const sampleRows = 256;
const sampleColumns = 512;

/**
 * Measures how fast a machine does the work, on a synthetic matrix and as many tokens as it has rows. `now` gives milliseconds. Error feedback costs
 * more in wider matrices, so that the time of very wide layers is underestimated.
 */
export function measureSpeed(
  work: QuantizationWork,
  kernels: Kernels,
  now: () => number = () => performance.now(),
): QuantizationSpeed {
  const seconds = (run: () => void) => {
    const start = now();
    run();
    return (now() - start) / 1000;
  };
  const mark = kernels.mark();
  try {
    const weights = sample(sampleRows * sampleColumns);
    const input = kernels.allocate(weights.byteLength);
    kernels.float32(input, weights.length).set(weights);
    const gram = kernels.allocate(4 * sampleColumns ** 2);
    kernels.float32(gram, sampleColumns ** 2).fill(0);
    const update = { input, tokens: sampleRows, gram, size: sampleColumns };
    // The first run compiles.
    const algebra = new LinearAlgebra(kernels);
    algebra.accumulateGram(update);
    const product = seconds(() => algebra.accumulateGram(update)) / ((sampleRows * sampleColumns ** 2) / 2);
    const hessian = new Float32Array(sampleColumns ** 2);
    for (let i = 0; i < sampleColumns; i++) hessian[i * sampleColumns + i] = 1 + (i % 7);
    const statistics = new InputStatistics(kernels, { hessian }, sampleColumns);
    let factorization = 0;
    const solving = new Map<ResolvedRule, number>();
    for (const rule of work.solving.keys()) {
      if (rule.needsStatistics) {
        factorization ||= seconds(() => statistics.feedback(rule.format)) / sampleColumns ** 3;
        statistics.feedback(rule.format);
      }
      const tensor = { name: 'sample', shape: [sampleRows, sampleColumns], values: weights, file: 'sample' };
      const solve = () => quantizeMatrix(tensor, rule, { kernels, statistics });
      solve();
      solving.set(rule, seconds(solve) / weights.length);
    }
    return { solving, product, factorization };
  } finally {
    kernels.release(mark);
  }
}

/** The time that work takes at a speed, in seconds. */
export function secondsOf(work: QuantizationWork, speed: QuantizationSpeed): number {
  let seconds = work.products * speed.product + work.factorizations * speed.factorization;
  for (const [rule, weights] of work.solving) seconds += weights * speed.solving.get(rule)!;
  return seconds;
}

/** Values with a bell-shaped distribution, always the same. */
function sample(length: number): Float32Array {
  let state = 1;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  return Float32Array.from({ length }, () => uniform() + uniform() + uniform());
}
