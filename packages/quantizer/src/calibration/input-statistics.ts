import type { NumberFormat } from '@lbs/format';
import {
  addToDiagonal,
  diagonalOf,
  type ErrorFeedback,
  type Kernels,
  LinearAlgebra,
  type Pointer,
  permuteSymmetric,
} from '@lbs/kernels';
import { descendingOrder } from './rounding-order.js';

/** Inputs that were never active count this share of the mean, so that their weights are still rounded to the nearest level. */
const leastShare = 1e-6;

/** Share of the mean of the Hessian's diagonal that is added to it, as in GPTQ's reference implementation. */
export const defaultDamping = 0.01;

/** Weighted means over the calibration tokens, [columns, columns]. */
export interface InputMoments {
  /** Of x x^T, symmetric. */
  readonly hessian: Float32Array;
  /** Of (y - x) x^T, where y is the input in the unquantized model. */
  readonly drift?: Float32Array | undefined;
}

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
    private readonly moments: InputMoments,
    readonly columns: number,
    private readonly damping = defaultDamping,
  ) {
    this.inputSquares = diagonalOf(moments.hessian, columns);
    const mean = this.#mean();
    const least = mean > 0 ? leastShare * mean : 1;
    this.importance = this.inputSquares.map((square) => Math.max(square, least));
  }

  /** [columns, columns] H, symmetric. */
  get hessian(): Float32Array {
    return this.moments.hessian;
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
    const { kernels, moments, columns, damping } = this;
    const scaled = (matrix: Float32Array) =>
      matrix.map((moment, i) => moment / (scales[Math.floor(i / columns)]! * scales[i % columns]!));
    const { hessian, drift } = moments;
    return new InputStatistics(
      kernels,
      { hessian: scaled(hessian), drift: drift && scaled(drift) },
      columns,
      damping,
    );
  }

  /**
   * [rows, columns] the weights that give, on the inputs at hand, as nearly as possible what the given ones give on the inputs of the unquantized
   * model, with part of the way gone: W + strength W D H^-1, with D the drift and H damped (QEP, arXiv 2504.09629). As they were where
   * the unquantized model's inputs were not measured. The format tells which of the factors is at hand.
   */
  compensate(weights: Float32Array, format: NumberFormat, strength: number): Float32Array {
    const { columns, kernels } = this;
    const { drift } = this.moments;
    if (!drift || strength === 0) return weights;
    const rows = weights.length / columns;
    const { order, upper } = this.feedback(format);
    const mark = kernels.mark();
    const place = (values: Float32Array) => {
      const pointer = kernels.allocate(values.byteLength);
      kernels.float32(pointer, values.length).set(values);
      return { pointer, stride: columns };
    };
    const output = { pointer: kernels.allocate(weights.byteLength), stride: columns };
    const inOrder = (values: Float32Array) => {
      const permuted = new Float32Array(values.length);
      for (let start = 0; start < values.length; start += columns) {
        for (let k = 0; k < columns; k++) permuted[start + k] = values[start + order[k]!]!;
      }
      return permuted;
    };
    new LinearAlgebra(kernels).multiply({
      ...{ rows, columns, depth: columns, output },
      left: place(weights),
      right: place(inOrder(drift)),
    });
    new LinearAlgebra(kernels).multiplyByInverse({
      input: output,
      output,
      rows,
      factor: upper,
      size: columns,
    });
    const change = kernels.float32(output.pointer, weights.length);
    const compensated = weights.slice();
    for (let start = 0; start < change.length; start += columns) {
      for (let k = 0; k < columns; k++) compensated[start + order[k]!]! += strength * change[start + k]!;
    }
    kernels.release(mark);
    return compensated;
  }

  /** [columns, columns] a copy of H with the damping on its diagonal, so that it is positive definite. */
  dampedHessian(): Float32Array {
    const damped = this.moments.hessian.slice();
    this.#damp(damped);
    return damped;
  }

  #damp(matrix: Float32Array): void {
    addToDiagonal(matrix, this.columns, this.damping * this.#mean() || 1);
  }

  #mean(): number {
    return this.inputSquares.reduce((sum, square) => sum + square, 0) / this.columns;
  }

  #factorize(order: Uint32Array): Pointer {
    const { columns, kernels } = this;
    const { hessian } = this.moments;
    const pointer = kernels.allocate(hessian.byteLength);
    const matrix = kernels.float32(pointer, hessian.length);
    permuteSymmetric(hessian, matrix, columns, order);
    this.#damp(matrix);
    new LinearAlgebra(kernels).inverseCholesky(pointer, columns);
    return pointer;
  }
}
