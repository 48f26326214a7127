import { InvalidArgumentError } from '@lbs/format';
import { bitsOf, float32OfBits, greatestBits, signless } from './score-bits.js';
import { countUpperBits, indicesOfLeast, upperBins } from './score-scan.js';
import type { TopKThreshold } from './top-k-threshold.js';

const lowerBins = 1 << 16;

/** Where the K-th largest score lies, known to its upper 16 bits. Plain data. */
export interface ScoreBoundary {
  /** Upper 16 bits of the K-th largest score. */
  readonly bin: number;
  /** Its rank among the scores of the bin, from 1; 0 where K is 0. */
  readonly rank: number;
  /** Number of scores in the bin. */
  readonly count: number;
}

/** Counts of scores; a histogram, or what a copy to another thread leaves of it. */
export interface ScoreCounts {
  readonly counts: Float64Array;
}

/**
 * The first of two passes that find the top K among the scores of any number of tensors: counts them by their upper 16
 * bits, in 256 KiB for any number of scores. The second is a `BoundaryHistogram`. Histograms of parts, made on other
 * threads for example, add up in any order.
 */
export class ScoreHistogram implements ScoreCounts {
  readonly counts = new Float64Array(upperBins);

  /** How many scores were added. */
  get total(): number {
    return sumOf(this.counts);
  }

  /** Throws InvalidArgumentError, and adds none, where a score is negative, infinite or NaN. */
  add(scores: Float32Array): void {
    countUpperBits(scores, this.counts);
  }

  /** Adds what another histogram counted. */
  merge(other: ScoreCounts): void {
    addCounts(this.counts, other.counts);
  }

  /** Throws InvalidArgumentError unless `k` is a whole number from 0 to `total`. */
  boundary(k: number): ScoreBoundary {
    const { total } = this;
    if (!Number.isInteger(k) || k < 0 || k > total) {
      throw new InvalidArgumentError(
        `k = ${k} is not a whole number from 0 to ${total}, the number of scores`,
      );
    }
    const { bin, rank } = findBin(this.counts, greatestBits >>> 16, k);
    return { bin, rank, count: this.counts[bin]! };
  }
}

/**
 * The second pass over the same scores: counts those of the boundary's bin by their lower 16 bits, in 512 KiB.
 * Histograms of parts, made with the same boundary, add up in any order.
 */
export class BoundaryHistogram implements ScoreCounts {
  readonly counts = new Float64Array(lowerBins);

  constructor(readonly boundary: ScoreBoundary) {}

  /** Adds scores that the first pass accepted. */
  add(scores: Float32Array): void {
    countLowerBits(this, scores, indicesOfLeast(scores, leastBits(this.boundary)));
  }

  /** Adds what another histogram of the same boundary counted. */
  merge(other: ScoreCounts): void {
    addCounts(this.counts, other.counts);
  }

  /** The threshold of the top K. Throws InvalidArgumentError where the two passes did not see the same scores. */
  threshold(): TopKThreshold {
    const total = sumOf(this.counts);
    if (total !== this.boundary.count) {
      throw new InvalidArgumentError(
        `the second pass met ${total} scores of the boundary's bin, the first ${this.boundary.count}`,
        { mend: 'Give both passes the same scores.' },
      );
    }
    const { bin, rank } = findBin(this.counts, lowerBins - 1, this.boundary.rank);
    return { score: float32OfBits(leastBits(this.boundary) + bin), ties: rank };
  }
}

/** Bits of the least score that the boundary's bin can hold. */
export function leastBits({ bin }: ScoreBoundary): number {
  return bin << 16;
}

/** Adds to a histogram the scores of its bin; `candidates` are indices, of all of them at least. */
export function countLowerBits(
  { boundary, counts }: BoundaryHistogram,
  scores: Float32Array,
  candidates: Uint32Array,
): void {
  const bits = bitsOf(scores);
  for (const index of candidates) {
    const score = bits[index]! & signless;
    if (score >>> 16 === boundary.bin) counts[score & (lowerBins - 1)]!++;
  }
}

/** The bin with the k-th largest, counted from bin `greatest` down, and its rank inside of it. */
function findBin(counts: Float64Array, greatest: number, k: number): { bin: number; rank: number } {
  let bin = greatest;
  let rank = k;
  while (counts[bin]! < rank) rank -= counts[bin--]!;
  return { bin, rank };
}

function sumOf(counts: Float64Array): number {
  let sum = 0;
  for (let bin = 0; bin < counts.length; bin++) sum += counts[bin]!;
  return sum;
}

function addCounts(target: Float64Array, source: Float64Array): void {
  if (source.length !== target.length) {
    throw new InvalidArgumentError(
      `a histogram of ${source.length} bins does not add to one of ${target.length}`,
    );
  }
  for (let bin = 0; bin < target.length; bin++) target[bin]! += source[bin]!;
}
