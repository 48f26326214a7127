import { createKernels, LinearAlgebra } from '@lbs/kernels';

/**
 * What a page does with kernels: a product, and one by a module that is compiled when it is first used. Both are worth several threads.
 * @param {import('@lbs/kernels').KernelsOptions} options
 */
export async function useKernels(options) {
  const kernels = await createKernels(options);
  const [rows, columns] = [256, 512];
  const matrix = kernels.loadDense(new Float32Array(rows * columns).fill(2), rows, columns);
  const x = kernels.allocate(4 * rows * columns);
  const y = kernels.allocate(4 * rows * columns);
  kernels.float32(x, rows * columns).fill(1);
  kernels.multiply(matrix, x, y, 1);
  const product = kernels.float32(y, rows)[rows - 1];
  new LinearAlgebra(kernels).multiplyTransposed(matrix, { input: x, output: y, tokens: rows });
  const transposed = kernels.float32(y, rows * columns)[rows * columns - 1];
  const { threads, simd } = kernels;
  kernels.close();
  return { threads, simd, product, transposed };
}
