import type { Pointer } from './arena.js';
import { linearAlgebraWasm } from './generated/linear-algebra-wasm.js';
import { inverseCholesky } from './inverse-cholesky.js';
import { type InverseProduct, multiplyByInverse } from './inverse-product.js';
import { type KernelParts, partsOf } from './kernel-parts.js';
import type { Kernels } from './kernels.js';
import type { Matrix } from './matrix.js';
import type { MatrixProduct } from './matrix-product.js';
import { ProductRunner } from './product-runner.js';
import { multiplyTransposed, type TransposedProduct } from './transposed-product.js';

/** Tokens to count in a Gram matrix. */
export interface GramUpdate {
  /** [tokens, size] float32. */
  readonly input: Pointer;
  readonly tokens: number;
  /** [size, size] float32; what is below the diagonal is not kept. */
  readonly gram: Pointer;
  readonly size: number;
  /** [tokens] float32, how often each token counts. Default once. */
  readonly weights?: Pointer;
}

/**
 * Dense linear algebra in float32 over the memory of kernels. Matrices are row-major. As with kernels, addresses are not checked. An output must
 * not overlap what it is computed from, unless a method says so.
 *
 * Every element of a product is summed in one order: the products of 256 steps of the depth after each other, starting from 0, and these sums
 * after each other into the output. So it does not depend on the number of rows or columns that are computed with it, and is within
 *
 *     (min(depth, 256) + ceil(depth / 256) + 2) * 2^-24 * (|output before| + sum |left| |weight| |right|)
 *
 * of the exact value where nothing overflows or underflows.
 */
export class LinearAlgebra {
  readonly #parts: KernelParts;
  readonly #runner: ProductRunner;

  /** Over the memory of these kernels, and on their threads. What it needs is compiled for the first one that is made. */
  constructor(kernels: Kernels) {
    this.#parts = partsOf(kernels);
    const { arena, instances, pool } = this.#parts;
    this.#runner = new ProductRunner(arena, instances.use('linearAlgebra', linearAlgebraWasm), pool);
  }

  /**
   * output [rows, columns] (=, +=, -=) left [rows, depth] diag(weights) right [depth, columns]. With X [tokens, n] and a weight matrix
   * W [m, n], X W^T has W as its right operand, transposed. The cross-moments of two inputs, sum over tokens t of weight_t y_t x_t^T,
   * have Y as their left operand, transposed, X as the right one, the tokens as depth, and `add`.
   */
  multiply(product: MatrixProduct): void {
    this.#runner.run([product]);
  }

  /**
   * output [tokens, columns] (=, +=) input [tokens, rows] times a matrix of the kernels, as gradients go back through a linear layer. All in
   * float32, with the order of summation of `multiply`; of a quantized matrix, with the weights that `dequantize` gives. Output must
   * not overlap the input.
   */
  multiplyTransposed(matrix: Matrix, product: TransposedProduct): void {
    multiplyTransposed(this.#runner, matrix, this.#parts.operationsOf(matrix), product);
  }

  /**
   * gram += sum over tokens t of weight_t x_t x_t^T, on and above the diagonal; `mirrorUpper` completes it at the end. Its error is
   * that of `multiply`.
   */
  accumulateGram({ input, tokens, gram, size, weights = 0 }: GramUpdate): void {
    const operand = { pointer: input, stride: size };
    const product: MatrixProduct = {
      ...{ rows: size, columns: size, depth: tokens, weights, update: 'add' },
      left: { ...operand, transposed: true },
      right: operand,
      output: { pointer: gram, stride: size },
    };
    this.#runner.run([product], { isUpperTriangle: true });
  }

  /**
   * Replaces a symmetric positive definite H [size, size], of which the upper triangle is read, by the upper triangular U with
   * H^-1 = U^T U, zeros below the diagonal. In PyTorch: cholesky(cholesky_inverse(cholesky(H)), upper=True).
   *
   * Products are float32, diagonal blocks of 64 rows float64. The relative error of U grows with the condition number of H: 1e-6
   * at 1e2, 6e-5 at 1e4, 4e-3 at 1e6, measured for 576 and 1536 rows; PyTorch's in float32 is the same or greater.
   *
   * Throws NotPositiveDefiniteError, with the pivot, where a pivot is not positive and finite. Pivots are taken from the last to the
   * first; the matrix is undefined then.
   */
  inverseCholesky(matrix: Pointer, size: number): void {
    inverseCholesky(this.#runner, matrix, size);
  }

  /** output [rows, size] = input [rows, size] H^-1, by the factor U of `inverseCholesky`, as (input U^T) U. */
  multiplyByInverse(product: InverseProduct): void {
    multiplyByInverse(this.#runner, product);
  }
}
