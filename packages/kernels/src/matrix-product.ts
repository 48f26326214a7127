import type { Pointer } from './arena.js';

/** Where a float32 matrix is: element (i, j) at pointer + 4 * (i * stride + j). So a part of a matrix is a matrix too. */
export interface MatrixPlace {
  readonly pointer: Pointer;
  /** Floats from one row to the next. */
  readonly stride: number;
}

/** A factor of a product. */
export interface ProductOperand extends MatrixPlace {
  /** The product takes the matrix transposed. Default false. */
  readonly transposed?: boolean;
}

/** output [rows, columns] (=, +=, -=) left [rows, depth] diag(weights) right [depth, columns], all float32. */
export interface MatrixProduct {
  readonly left: ProductOperand;
  readonly right: ProductOperand;
  readonly output: MatrixPlace;
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  /** Address of [depth] float32, one factor for each step of the depth. Default all 1. */
  readonly weights?: Pointer;
  /** What becomes of the output. Default set. */
  readonly update?: keyof typeof updates;
}

/** `Update` of assembly/linear-algebra/product-header.ts. */
const updates = { set: 0, add: 1, subtract: 2 } as const;

/** The fields of `ProductHeader` in assembly/linear-algebra/product-header.ts. */
export function productHeader(product: MatrixProduct, isUpperTriangle: boolean): readonly number[] {
  const { left, right, output, columns, depth, weights = 0, update = 'set' } = product;
  const operand = ({ pointer, stride, transposed = false }: ProductOperand) =>
    transposed ? [pointer, 1, stride] : [pointer, stride, 1];
  return [
    ...[...operand(left), ...operand(right), output.pointer, output.stride],
    ...[columns, depth, weights, updates[update], Number(isUpperTriangle)],
  ];
}

/** Where the part of a matrix [.., stride] that begins at (row, column) is. */
export function placeIn(pointer: Pointer, stride: number): (row: number, column: number) => MatrixPlace {
  return (row, column) => ({ pointer: pointer + 4 * (row * stride + column), stride });
}

/** The part of a matrix from a column on. */
export function columnsFrom({ pointer, stride }: MatrixPlace, column: number): MatrixPlace {
  return { pointer: pointer + 4 * column, stride };
}

/** The same matrix, to be taken transposed. */
export function transposed(place: MatrixPlace): ProductOperand {
  return { ...place, transposed: true };
}
