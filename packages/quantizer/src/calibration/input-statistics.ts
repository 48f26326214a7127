import type { NumberFormat } from '@lbs/format';
import {
  addToDiagonal,
  diagonalOf,
  type ErrorFeedback,
  type Kernels,
  type Pointer,
  permuteSymmetric,
} from '@lbs/kernels';
import { descendingOrder } from './rounding-order.js';

/** Inputs that were never active count this share of the mean, so that their weights are still rounded to the nearest level. */
const leastShare = 1e-6;

/** Share of the mean of the Hessian's diagonal that is added to it, as in GPTQ's reference implementation. */
export const defaultDamping = 0.01;

/**
 * Second moments of what the linear layers of a stage read: H = sum of weight * x x^T / sum of weights, over the calibration tokens. Factors are
 * computed once for all layers of the stage; they lie in the kernels' memory on top of what was allocated before.
 */
export class InputStatistics {
  /** [columns] the mean squares of the input features: the diagonal of H. */
  readonly inputSquares: Float32Array;
  /** [columns] how much squared errors of weights count: the mean squares of their inputs, none quite 0. */
  readonly importance: Float32Array;
  readonly #factors = new Map<number, ErrorFeedback>();

  constructor(
    private readonly kernels: Kernels,
    /** [columns, columns], symmetric. */
    readonly hessian: Float32Array,
    readonly columns: number,
    private readonly damping = defaultDamping,
  ) {
    this.inputSquares = diagonalOf(hessian, columns);
    const mean = this.#mean();
    const least = mean > 0 ? leastShare * mean : 1;
    this.importance = this.inputSquares.map((square) => Math.max(square, least));
  }

  /** The order in which the columns of a format are rounded, and the Cholesky factor U of the inverse of the damped Hessian in it. */
  feedback(format: NumberFormat): ErrorFeedback {
    const block = format.sharedBits > 0 ? format.sharingBlock : 1;
    let feedback = this.#factors.get(block);
    if (!feedback) {
      const order = descendingOrder(this.importance, block);
      feedback = { order, upper: this.#factorize(order) };
      this.#factors.set(block, feedback);
    }
    return feedback;
  }

  /** [columns] the diagonal of the inverse of the damped Hessian: [H^-1]_jj = sum over k of U_kj^2. */
  inverseDiagonal(format: NumberFormat): Float32Array {
    const { columns } = this;
    const { order, upper } = this.feedback(format);
    const factor = this.kernels.float32(upper, columns * columns);
    const diagonal = new Float32Array(columns);
    for (let k = 0; k < columns; k++) {
      for (let j = k; j < columns; j++) diagonal[order[j]!]! += factor[k * columns + j]! ** 2;
    }
    return diagonal;
  }

  /** The statistics of the same inputs, each feature divided by its scale [columns]. */
  dividedBy(scales: Float32Array): InputStatistics {
    const { kernels, hessian, columns, damping } = this;
    const scaled = hessian.map(
      (moment, i) => moment / (scales[Math.floor(i / columns)]! * scales[i % columns]!),
    );
    return new InputStatistics(kernels, scaled, columns, damping);
  }

  #mean(): number {
    return this.inputSquares.reduce((sum, square) => sum + square, 0) / this.columns;
  }

  #factorize(order: Uint32Array): Pointer {
    const { hessian, columns, kernels } = this;
    const pointer = kernels.allocate(hessian.byteLength);
    const matrix = kernels.float32(pointer, hessian.length);
    permuteSymmetric(hessian, matrix, columns, order);
    addToDiagonal(matrix, columns, this.damping * this.#mean() || 1);
    kernels.linearAlgebra.inverseCholesky(pointer, columns);
    return pointer;
  }
}
