import { InvalidArgumentError } from '@lbs/format';

/** Rows and columns that are transposed at a time: two such blocks stay in the first-level cache. */
const mirrorBlock = 32;

/** Copies what is above the diagonal of a matrix [size, size] to below it. */
export function mirrorUpper(matrix: Float32Array, size: number): void {
  assertSquare(matrix, size);
  for (let top = 0; top < size; top += mirrorBlock) {
    const bottom = Math.min(top + mirrorBlock, size);
    for (let left = 0; left <= top; left += mirrorBlock) {
      for (let row = top; row < bottom; row++) {
        const end = Math.min(left + mirrorBlock, row);
        for (let column = left; column < end; column++) {
          matrix[row * size + column] = matrix[column * size + row]!;
        }
      }
    }
  }
}

/**
 * target[i, j] = source[order[i], order[j]], both [size, size]. Throws InvalidArgumentError where `order` is not a permutation of 0 to
 * size - 1.
 */
export function permuteSymmetric(
  source: Float32Array,
  target: Float32Array,
  size: number,
  order: ArrayLike<number>,
): void {
  assertSquare(source, size);
  assertSquare(target, size);
  assertPermutation(order, size);
  for (let i = 0; i < size; i++) {
    const row = order[i]! * size;
    for (let j = 0; j < size; j++) target[i * size + j] = source[row + order[j]!]!;
  }
}

/** A copy of the diagonal of a matrix [size, size]. */
export function diagonalOf(matrix: Float32Array, size: number): Float32Array {
  assertSquare(matrix, size);
  return Float32Array.from({ length: size }, (_, i) => matrix[i * size + i]!);
}

/** Adds `value` to the diagonal of a matrix [size, size]. */
export function addToDiagonal(matrix: Float32Array, size: number, value: number): void {
  assertSquare(matrix, size);
  for (let i = 0; i < size; i++) matrix[i * size + i]! += value;
}

/** matrix[i, j] *= scales[i] * scales[j], for a matrix [size, size]. */
export function scaleSymmetric(matrix: Float32Array, size: number, scales: ArrayLike<number>): void {
  assertSquare(matrix, size);
  if (scales.length !== size) {
    throw new InvalidArgumentError(`a ${size} x ${size} matrix takes ${size} scales, not ${scales.length}`);
  }
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) matrix[i * size + j]! *= scales[i]! * scales[j]!;
  }
}

function assertSquare(matrix: Float32Array, size: number): void {
  if (matrix.length === size ** 2) return;
  throw new InvalidArgumentError(
    `a ${size} x ${size} matrix has ${size ** 2} elements, not ${matrix.length}`,
  );
}

function assertPermutation(order: ArrayLike<number>, size: number): void {
  if (order.length !== size) {
    throw new InvalidArgumentError(`an order of ${size} rows has ${size} entries, not ${order.length}`);
  }
  const seen = new Uint8Array(size);
  for (let i = 0; i < size; i++) {
    const row = order[i]!;
    if (seen[row] !== 0) {
      throw new InvalidArgumentError(
        `entry ${i} of an order is ${row}, twice or not one of the ${size} rows`,
      );
    }
    seen[row] = 1;
  }
}
