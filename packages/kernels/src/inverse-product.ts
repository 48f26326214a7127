import type { Pointer } from './arena.js';
import { columnsFrom, type MatrixPlace, placeIn, transposed } from './matrix-product.js';
import { columnBlocks, type ProductRunner } from './product-runner.js';

/** A product with the inverse of H. */
export interface InverseProduct {
  /** [rows, size]. */
  readonly input: MatrixPlace;
  /** [rows, size]; may be the input. */
  readonly output: MatrixPlace;
  readonly rows: number;
  /** [size, size], from `inverseCholesky`. */
  readonly factor: Pointer;
  readonly size: number;
}

/** output = input U^T U: two products with triangles, which end or begin where the columns do. */
export function multiplyByInverse(
  runner: ProductRunner,
  { input, output, rows, factor, size }: InverseProduct,
): void {
  const at = placeIn(factor, size);
  runner.withScratch(() => {
    const between = placeIn(runner.arena.allocate(4 * rows * size), size);
    runner.run(
      columnBlocks(0, size, (first, end) => ({
        ...{ rows, columns: end - first, depth: size - first },
        left: columnsFrom(input, first),
        right: transposed(at(first, first)),
        output: between(0, first),
      })),
    );
    runner.run(
      columnBlocks(0, size, (first, end) => ({
        ...{ rows, columns: end - first, depth: end },
        left: between(0, 0),
        right: at(0, first),
        output: columnsFrom(output, first),
      })),
    );
  });
}
