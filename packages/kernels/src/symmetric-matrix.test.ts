import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { randomActivations } from './fixtures/random-matrix.js';
import { addToDiagonal, diagonalOf, mirrorUpper, permuteSymmetric, scaleSymmetric } from './index.js';

const sizes = [1, 3, 17, 32, 33, 65, 100];

describe('symmetric matrices', () => {
  it.each(sizes)('mirrors what is above the diagonal, size %i', (size) => {
    const matrix = randomActivations(size * size, size);
    const mirrored = matrix.slice();
    mirrorUpper(mirrored, size);
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++) {
        expect(mirrored[i * size + j]).toBe(matrix[Math.min(i, j) * size + Math.max(i, j)]);
      }
    }
  });

  it('permutes rows and columns alike, and back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), fc.nat(1e6), (size, seed) => {
        const matrix = randomActivations(size * size, seed);
        const keys = randomActivations(size, seed + 1);
        const order = Array.from(keys.keys()).sort((a, b) => keys[a]! - keys[b]!);
        const permuted = new Float32Array(size * size);
        permuteSymmetric(matrix, permuted, size, order);
        for (let i = 0; i < size; i++) {
          for (let j = 0; j < size; j++) {
            expect(permuted[i * size + j]).toBe(matrix[order[i]! * size + order[j]!]);
          }
        }
        const back = new Uint32Array(size);
        for (const [place, row] of order.entries()) back[row] = place;
        const restored = new Float32Array(size * size);
        permuteSymmetric(permuted, restored, size, back);
        expect(restored).toEqual(matrix);
      }),
      { numRuns: 30, seed: 1 },
    );
  });

  it('reads and adds to the diagonal', () => {
    const matrix = Float32Array.of(1, 2, 3, 4);
    expect([...diagonalOf(matrix, 2)]).toEqual([1, 4]);
    addToDiagonal(matrix, 2, 0.5);
    expect([...matrix]).toEqual([1.5, 2, 3, 4.5]);
  });

  it('scales rows and columns', () => {
    const matrix = Float32Array.of(1, 2, 3, 4);
    scaleSymmetric(matrix, 2, [2, 10]);
    expect([...matrix]).toEqual([4, 40, 60, 400]);
  });

  it('names what does not fit', () => {
    const matrix = new Float32Array(9);
    expect(() => mirrorUpper(matrix, 2)).toThrow('a 2 x 2 matrix has 4 elements, not 9');
    expect(() => scaleSymmetric(matrix, 3, [1])).toThrow('a 3 x 3 matrix takes 3 scales, not 1');
    expect(() => permuteSymmetric(matrix, new Float32Array(4), 3, [0, 1, 2])).toThrow('9 elements, not 4');
    expect(() => permuteSymmetric(matrix, new Float32Array(9), 3, [0, 1])).toThrow('has 3 entries, not 2');
    for (const wrong of [1, 3, -1, 0.5]) {
      expect(() => permuteSymmetric(matrix, new Float32Array(9), 3, [0, 1, wrong])).toThrow(
        `entry 2 of an order is ${wrong}`,
      );
    }
  });
});
