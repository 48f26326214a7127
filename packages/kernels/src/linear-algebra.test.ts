import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { createCuttingKernels } from './fixtures/cutting-kernels.js';
import { createRandom, randomActivations } from './fixtures/random-matrix.js';
import {
  type Kernels,
  LinearAlgebra,
  type MatrixProduct,
  mirrorUpper,
  type ProductOperand,
} from './index.js';
import type { Range } from './thread-pool.js';

let kernels: Kernels;
let algebra: LinearAlgebra;
/** Cuts every product into ranges of 1 to 9 rows, in another order. */
let cutAlgebra: LinearAlgebra;
beforeAll(async () => {
  ({ kernels, cutAlgebra } = await createCuttingKernels(smallRanges));
  algebra = new LinearAlgebra(kernels);
});

function smallRanges(rows: number): Range[] {
  const ranges: Range[] = [];
  for (let first = 0, length = 1; first < rows; first += length, length = 1 + (length % 9)) {
    ranges.push([first, Math.min(first + length, rows)]);
  }
  return ranges.reverse();
}

const sentinel = 12345.5;

/** A matrix in the memory whose rows are `gap` floats apart, with sentinels between and behind them. */
function place(rows: number, columns: number, gap: number, value: (row: number, column: number) => number) {
  const stride = columns + gap;
  const length = rows * stride + 8;
  const pointer = kernels.allocate(4 * length, 4);
  const view = kernels.float32(pointer, length).fill(sentinel);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) view[i * stride + j] = value(i, j);
  const at = (i: number, j: number) => kernels.float32(pointer, length)[i * stride + j]!;
  const isIntact = () => {
    const all = kernels.float32(pointer, length);
    return all.every((each, k) => (k < rows * stride && k % stride < columns) || each === sentinel);
  };
  return { pointer, stride, at, isIntact };
}

interface Case {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly leftTransposed: boolean;
  readonly rightTransposed: boolean;
  readonly update: 'set' | 'add' | 'subtract';
  readonly weighted: boolean;
  readonly seed: number;
  readonly gap?: number;
  readonly leftScale?: number;
  readonly rightScale?: number;
}

/** The float32 numbers of a case, as functions of row and column. */
function valuesOf({ rows, columns, depth, seed, leftScale = 1, rightScale = 1 }: Case) {
  const left = randomActivations(rows * depth, seed).map((value) => value * leftScale);
  const right = randomActivations(depth * columns, seed + 1).map((value) => value * rightScale);
  const before = randomActivations(rows * columns, seed + 2).map((value) => value * leftScale * rightScale);
  const random = createRandom(seed + 3);
  const weights = Float32Array.from({ length: depth }, () => (random() < 0.2 ? 0 : 2 * random()));
  return {
    left: (i: number, k: number) => left[i * depth + k]!,
    right: (k: number, j: number) => right[k * columns + j]!,
    before: (i: number, j: number) => before[i * columns + j]!,
    weight: (k: number) => weights[k]!,
  };
}

function multiply(by: LinearAlgebra, c: Case, values = valuesOf(c)) {
  const { rows, columns, depth, gap = 0 } = c;
  const operand = (
    r: number,
    s: number,
    transposed: boolean,
    value: (i: number, j: number) => number,
  ): ProductOperand =>
    transposed
      ? { ...place(s, r, gap, (i, j) => value(j, i)), transposed }
      : place(r, s, gap, (i, j) => value(i, j));
  const output = place(rows, columns, gap, values.before);
  const product: MatrixProduct = {
    ...{ rows, columns, depth, output, update: c.update },
    left: operand(rows, depth, c.leftTransposed, values.left),
    right: operand(depth, columns, c.rightTransposed, values.right),
  };
  const weights = c.weighted ? place(1, depth, 0, (_, k) => values.weight(k)).pointer : undefined;
  by.multiply(weights === undefined ? product : { ...product, weights });
  return output;
}

/** Holds every element against the bound that `LinearAlgebra` documents, plus what may be lost by underflow. */
function expectWithinBound(c: Case): void {
  const mark = kernels.mark();
  const values = valuesOf(c);
  const output = multiply(algebra, c, values);
  expect(output.isIntact()).toBe(true);
  const terms = Math.min(c.depth, 256) + Math.ceil(c.depth / 256) + 2;
  for (let i = 0; i < c.rows; i++) {
    for (let j = 0; j < c.columns; j++) {
      let sum = 0;
      let magnitude = c.update === 'set' ? 0 : Math.abs(values.before(i, j));
      let lost = 0;
      for (let k = 0; k < c.depth; k++) {
        const term = values.left(i, k) * (c.weighted ? values.weight(k) : 1) * values.right(k, j);
        sum += term;
        magnitude += Math.abs(term);
        lost += 2 ** -149 * (1 + Math.abs(values.right(k, j)));
      }
      const exact = c.update === 'set' ? sum : values.before(i, j) + (c.update === 'add' ? sum : -sum);
      const error = Math.abs(output.at(i, j) - exact);
      const bound = terms * 2 ** -24 * magnitude + lost;
      if (!(error <= bound)) {
        expect.fail(`element ${i}, ${j}: ${output.at(i, j)} is ${error} from ${exact}, bound ${bound}`);
      }
    }
  }
  kernels.release(mark);
}

const flags = {
  leftTransposed: fc.boolean(),
  rightTransposed: fc.boolean(),
  update: fc.constantFrom('set' as const, 'add' as const, 'subtract' as const),
  weighted: fc.boolean(),
  seed: fc.nat(1e6),
  gap: fc.nat(3),
};
const plain = { leftTransposed: false, rightTransposed: false, update: 'set', weighted: false } as const;

describe('multiply', () => {
  it('stays within the bound', () => {
    const size = fc.integer({ min: 1, max: 40 });
    fc.assert(
      fc.property(
        fc.record({ rows: size, columns: size, depth: fc.integer({ min: 0, max: 70 }), ...flags }),
        expectWithinBound,
      ),
      { numRuns: 200, seed: 1 },
    );
  });

  it.each([1, 3, 17, 65, 100, 577])('stays within the bound with %i rows, columns or steps', (size) => {
    const shapes: (readonly [number, number, number])[] = [
      [size, 9, 31],
      [6, size, 31],
      [6, 9, size],
    ];
    for (const [rows, columns, depth] of shapes) {
      for (const leftTransposed of [false, true]) {
        for (const rightTransposed of [false, true]) {
          const update = leftTransposed ? 'add' : 'subtract';
          const weighted = rightTransposed;
          expectWithinBound({
            rows,
            columns,
            depth,
            leftTransposed,
            rightTransposed,
            update,
            weighted,
            seed: size,
          });
        }
      }
    }
  });

  it.each([
    ['zeros', 0, 0],
    ['huge and tiny', 1e30, 1e-30],
    ['a huge result', 1e18, 1e18],
    ['subnormal', 1e-41, 1],
    ['products below the least number', 1e-30, 1e-30],
  ])('stays within the bound: %s', (_, leftScale, rightScale) => {
    for (const update of ['set', 'add', 'subtract'] as const) {
      for (const weighted of [false, true]) {
        const shape = { rows: 7, columns: 11, depth: 300, seed: 9 };
        expectWithinBound({ ...plain, ...shape, update, weighted, leftScale, rightScale });
      }
    }
  });

  it('passes NaN and infinity on to their own row and column only', () => {
    const c: Case = { ...plain, rows: 12, columns: 20, depth: 30, seed: 4 };
    const values = valuesOf(c);
    const left = (i: number, k: number) => (i === 3 && k === 5 ? Number.NaN : values.left(i, k));
    const right = (k: number, j: number) =>
      k === 2 && j === 17 ? Number.POSITIVE_INFINITY : values.right(k, j);
    const output = multiply(algebra, c, { ...values, left, right });
    for (let i = 0; i < 12; i++) {
      for (let j = 0; j < 20; j++) expect(Number.isFinite(output.at(i, j))).toBe(i !== 3 && j !== 17);
    }
  });

  it('sets the output to 0 where the depth is 0', () => {
    const output = multiply(algebra, { ...plain, rows: 3, columns: 9, depth: 0, seed: 1 });
    for (let i = 0; i < 3; i++) for (let j = 0; j < 9; j++) expect(output.at(i, j)).toBe(0);
  });

  it('gives a row the same bits alone, in any batch and in any range', () => {
    const size = fc.integer({ min: 1, max: 30 });
    fc.assert(
      fc.property(
        fc.record({ rows: size, columns: size, depth: fc.constantFrom(1, 40, 300), ...flags }),
        fc.nat(1e6),
        (c, choice) => {
          const mark = kernels.mark();
          const values = valuesOf(c);
          const whole = multiply(algebra, c, values);
          const cut = multiply(cutAlgebra, c, values);
          const row = choice % c.rows;
          const alone = multiply(
            algebra,
            { ...c, rows: 1 },
            {
              ...values,
              left: (_, k) => values.left(row, k),
              before: (_, j) => values.before(row, j),
            },
          );
          for (let j = 0; j < c.columns; j++) {
            expect(alone.at(0, j)).toBe(whole.at(row, j));
            for (let i = 0; i < c.rows; i++) expect(cut.at(i, j)).toBe(whole.at(i, j));
          }
          kernels.release(mark);
        },
      ),
      { numRuns: 60, seed: 1 },
    );
  });
});

describe('accumulateGram', () => {
  /** The upper triangle after two calls on halves of the tokens. */
  function gramOf(
    by: LinearAlgebra,
    input: Float32Array,
    tokens: number,
    size: number,
    weights?: Float32Array,
  ) {
    const gram = kernels.allocate(4 * size * size);
    kernels.float32(gram, size * size).fill(0);
    const half = tokens >> 1;
    for (const [first, end] of [
      [0, half],
      [half, tokens],
    ] as const) {
      const x = kernels.allocate(4 * (end - first) * size);
      kernels.float32(x, (end - first) * size).set(input.subarray(first * size, end * size));
      const update = { input: x, tokens: end - first, gram, size };
      if (weights) {
        const w = kernels.allocate(4 * (end - first));
        kernels.float32(w, end - first).set(weights.subarray(first, end));
        by.accumulateGram({ ...update, weights: w });
      } else by.accumulateGram(update);
    }
    const matrix = kernels.float32(gram, size * size).slice();
    mirrorUpper(matrix, size);
    return matrix;
  }

  it.each([1, 3, 17, 65, 100, 257])('stays within the bound, size %i', (size) => {
    for (const tokens of size < 100 ? [1, 2, 33, 700] : [33]) {
      for (const weighted of [false, true]) {
        const mark = kernels.mark();
        const input = randomActivations(tokens * size, size);
        const weights = weighted ? randomActivations(tokens, 5).map(Math.abs) : undefined;
        const gram = gramOf(algebra, input, tokens, size, weights);
        expect(gramOf(cutAlgebra, input, tokens, size, weights)).toEqual(gram);
        const terms = Math.min(tokens, 256) + Math.ceil(tokens / 256) + 4;
        for (let i = 0; i < size; i++) {
          for (let j = 0; j <= i; j++) {
            let exact = 0;
            let magnitude = 0;
            for (let t = 0; t < tokens; t++) {
              const term = (weights?.[t] ?? 1) * input[t * size + i]! * input[t * size + j]!;
              exact += term;
              magnitude += Math.abs(term);
            }
            const error = Math.abs(gram[i * size + j]! - exact);
            if (!(error <= terms * 2 ** -24 * magnitude)) expect.fail(`element ${i}, ${j}: ${error}`);
            if (gram[i * size + j] !== gram[j * size + i]) expect.fail(`${i}, ${j} is not symmetric`);
          }
        }
        kernels.release(mark);
      }
    }
  });

  it('does not write behind the matrix', () => {
    for (const size of [1, 7, 8, 21]) {
      const gram = place(size, size, 0, () => 0);
      const input = place(9, size, 0, (i, j) => i + j);
      algebra.accumulateGram({ input: input.pointer, tokens: 9, gram: gram.pointer, size });
      expect(gram.isIntact()).toBe(true);
    }
  });
});
