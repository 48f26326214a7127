import { rowLayout, scaleEncodingOf } from '@lbs/format';
import { type ChosenCodes, CodeSearch, type Kernels, LinearAlgebra, type Pointer } from '@lbs/kernels';
import type { InputStatistics } from '../calibration/input-statistics.js';
import { clippedRanges, groupRanges, reachingScales } from '../scales/group-ranges.js';
import { chooseScaleBases, type MatrixScales } from '../scales/matrix-scales.js';
import { minMaxScales } from '../scales/min-max-scales.js';
import { decodeCodes } from './decode-codes.js';
import { encodeMatrix, type ScaledMatrix } from './encode-matrix.js';
import type { Solver } from './solver.js';

/** Of the published implementation: the range shrinks from 1 in steps of 1/20, 10 of them. */
const clippingSteps = 20;
const clippingTrials = 10;

/**
 * Round-to-nearest with AWQ's clip search (arXiv 2306.00978; llm-awq): of the ranges from the largest magnitude of a group down to 0.55 of it, the one
 * with the least squared error of the group's outputs. The published search computes these outputs for 512 sampled tokens. With the second
 * moments H of the inputs the mean over all tokens is e H_gg e^T, where e are the errors of a row's weights in the group and H_gg the group's
 * diagonal block of H: exact, and cheaper. Weights are rounded to the levels of the clipped range, not clipped to it first: where rounding the
 * zero-point leaves a level beyond the range, they may take it.
 */
export const clipSearch: Solver = {
  name: 'awq-clip',
  needsStatistics: true,
  solve(input) {
    const { kernels } = input;
    const statistics = input.statistics!;
    return encodeMatrix(input, {
      importance: statistics.importance,
      fitScales: (matrix) => clippedScales(matrix, statistics, kernels),
    });
  },
};

/** The scales, and zero-points, of the best clipping of each group; the widest range of equally good ones. */
function clippedScales(matrix: ScaledMatrix, statistics: InputStatistics, kernels: Kernels): MatrixScales {
  const { format } = matrix;
  const ranges = groupRanges(format, matrix);
  const bases = chooseScaleBases(format, reachingScales(format, ranges), matrix);
  const best = minMaxScales(format, ranges, bases);
  const { bytes } = scaleEncodingOf(format);
  const least = new Float64Array(best.values.length).fill(Number.POSITIVE_INFINITY);
  const search = new CodeSearch(kernels, { ...matrix, importance: statistics.importance });
  try {
    const outputs = new GroupOutputs(matrix, statistics.hessian, kernels);
    for (let trial = 0; trial < clippingTrials; trial++) {
      const clipped = clippedRanges(ranges, 1 - trial / clippingSteps);
      const scales = minMaxScales(format, clipped, bases);
      const codes = search.choose({
        scales: scales.values,
        ...(format.zeroPoint && { zeroPoints: scales.zeroPoints }),
      });
      for (const [i, error] of outputs.squaredErrors(scales, codes).entries()) {
        if (!(error < least[i]!)) continue;
        least[i] = error;
        best.values[i] = scales.values[i]!;
        best.scales.set(scales.scales.subarray(bytes * i, bytes * (i + 1)), bytes * i);
        if (format.zeroPoint) best.zeroPoints[i] = scales.zeroPoints[i]!;
      }
    }
    return best;
  } finally {
    search.release();
  }
}

/** What rounding does to the outputs, a group at a time. Its memory lies on top of what was allocated before. */
class GroupOutputs {
  readonly #groups: number;
  /** [groups, groupSize, groupSize] the diagonal blocks of H; of a short group the rest is not used. */
  readonly #moments: Pointer;
  /** [rows, columns] errors of the weights, and those times the moments. */
  readonly #errors: Pointer;
  readonly #products: Pointer;

  constructor(
    private readonly matrix: ScaledMatrix,
    hessian: Float32Array,
    private readonly kernels: Kernels,
  ) {
    const { weights, columns, format } = matrix;
    const { groupSize } = format;
    this.#groups = rowLayout(format, columns).groups;
    this.#moments = kernels.allocate(4 * this.#groups * groupSize ** 2);
    this.#errors = kernels.allocate(weights.byteLength);
    this.#products = kernels.allocate(weights.byteLength);
    const moments = kernels.float32(this.#moments, this.#groups * groupSize ** 2);
    for (let row = 0; row < columns; row++) {
      const start = row - (row % groupSize);
      const end = Math.min(start + groupSize, columns);
      moments.set(hessian.subarray(row * columns + start, row * columns + end), row * groupSize);
    }
  }

  /** [rows, groups] e H_gg e^T. */
  squaredErrors(scales: MatrixScales, codes: ChosenCodes): Float64Array {
    const { matrix, kernels } = this;
    const { weights, rows, columns, format } = matrix;
    const { groupSize } = format;
    const rounded = decodeCodes(matrix, scales, codes);
    const algebra = new LinearAlgebra(kernels);
    kernels.float32(this.#errors, weights.length).set(rounded.map((value, i) => weights[i]! - value));
    for (let group = 0; group < this.#groups; group++) {
      const start = group * groupSize;
      const size = Math.min(groupSize, columns - start);
      algebra.multiply({
        ...{ rows, columns: size, depth: size },
        left: { pointer: this.#errors + 4 * start, stride: columns },
        right: { pointer: this.#moments + 4 * start * groupSize, stride: groupSize },
        output: { pointer: this.#products + 4 * start, stride: columns },
      });
    }
    const errors = kernels.float32(this.#errors, weights.length);
    const products = kernels.float32(this.#products, weights.length);
    const sums = new Float64Array(rows * this.#groups);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const i = row * columns + column;
        sums[row * this.#groups + Math.floor(column / groupSize)]! += errors[i]! * products[i]!;
      }
    }
    return sums;
  }
}
