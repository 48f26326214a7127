import type { QuantizedMatrix } from '@lbs/format';
import type { Kernels } from '@lbs/kernels';

/** [rows, columns] the weights that a matrix stands for: what `dequantize` gives, by the kernels. */
export function restoreMatrix(kernels: Kernels, matrix: QuantizedMatrix): Float32Array {
  const { rows, columns } = matrix;
  const mark = kernels.mark();
  try {
    const output = kernels.allocate(4 * rows * columns);
    const eachRow = Uint32Array.from({ length: rows }, (_, row) => row);
    kernels.gather(kernels.loadQuantized(matrix), eachRow, output);
    return kernels.float32(output, rows * columns).slice();
  } finally {
    kernels.release(mark);
  }
}
