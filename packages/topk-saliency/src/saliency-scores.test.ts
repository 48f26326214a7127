import { createRegistry } from '@lbs/format';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { timesRowSensitivity } from './row-sensitivity.js';
import { defineSaliencyScore, type SaliencyScore } from './saliency-score.js';
import {
  fisherError,
  fisherMagnitude,
  leftoverError,
  magnitude,
  optimalBrainSurgeon,
  saliencyScores,
  wanda,
} from './saliency-scores.js';
import type { SaliencyInputs, StatisticName } from './saliency-statistics.js';
import { selectTopK } from './top-k.js';

type Layer = Required<Omit<SaliencyInputs, 'tensor'>> & { readonly weights: Float32Array };

const greatest = 2 ** 128 - 2 ** 104;
const allScores = [...saliencyScores, ...saliencyScores.map(timesRowSensitivity)];
const eachScore = allScores.map((score) => [score.name, score] as const);

/** A layer with random weights and statistics, drawn from `weight` and `factor`. */
function layers(weight: fc.Arbitrary<number>, factor: fc.Arbitrary<number>): fc.Arbitrary<Layer> {
  const numbers = (of: fc.Arbitrary<number>, length: number) =>
    fc.array(of, { minLength: length, maxLength: length }).map((values) => Float32Array.from(values));
  return fc
    .record({ rows: fc.integer({ min: 1, max: 6 }), columns: fc.integer({ min: 1, max: 9 }) })
    .chain(({ rows, columns }) =>
      fc.record({
        rows: fc.constant(rows),
        columns: fc.constant(columns),
        weights: numbers(weight, rows * columns),
        inputSquares: numbers(factor, columns),
        inverseHessianDiagonal: numbers(
          factor.filter((value) => value > 0),
          columns,
        ),
        approximation: numbers(weight, rows * columns),
        fisher: numbers(factor, rows * columns),
        rowSensitivity: numbers(factor, rows),
      }),
    );
}

const ordinary = layers(
  fc.float({ min: -4, max: 4, noNaN: true }),
  fc.float({ min: Math.fround(1e-6), max: 1e6, noNaN: true }),
);
const extreme = layers(
  fc.float({ noNaN: true, noDefaultInfinity: true }),
  fc.float({ min: 0, noNaN: true, noDefaultInfinity: true }),
);
/** Far from both ends of float32, with many equal weights. */
const moderate = layers(
  fc.integer({ min: -8, max: 8 }).map((value) => value / 8),
  fc.integer({ min: 1, max: 8 }),
);

/** The formulas as the papers write them, one weight at a time. */
const formulas: Record<string, (layer: Layer, row: number, column: number) => number> = {
  magnitude: (layer, i, j) => Math.abs(layer.weights[i * layer.columns + j]!),
  wanda: (layer, i, j) => Math.abs(layer.weights[i * layer.columns + j]!) * Math.sqrt(layer.inputSquares[j]!),
  'optimal-brain-surgeon': (layer, i, j) =>
    layer.weights[i * layer.columns + j]! ** 2 / layer.inverseHessianDiagonal[j]!,
  'leftover-error': (layer, i, j) =>
    (layer.weights[i * layer.columns + j]! - layer.approximation[i * layer.columns + j]!) ** 2 /
    layer.inverseHessianDiagonal[j]!,
  'fisher-magnitude': (layer, i, j) =>
    layer.weights[i * layer.columns + j]! ** 2 * layer.fisher[i * layer.columns + j]!,
  'fisher-error': (layer, i, j) =>
    (layer.weights[i * layer.columns + j]! - layer.approximation[i * layer.columns + j]!) ** 2 *
    layer.fisher[i * layer.columns + j]!,
};

describe('saliency scores', () => {
  test('have names that a registry and a recipe can hold', () => {
    expect(createRegistry('saliency score', allScores).names).toContain('wanda-times-row-sensitivity');
    expect(saliencyScores.map(({ name }) => name)).toEqual(Object.keys(formulas));
  });

  test.each(saliencyScores.map((score) => [score.name, score] as const))(
    '%s follows its formula',
    (name, score) => {
      fc.assert(
        fc.property(ordinary, (layer) => {
          const sensitive = timesRowSensitivity(score).score(layer.weights, layer);
          score.score(layer.weights, layer).forEach((value, i) => {
            const [row, column] = [Math.floor(i / layer.columns), i % layer.columns];
            const expected = formulas[name]!(layer, row, column);
            expect(Math.abs(value - expected)).toBeLessThanOrEqual(2 ** -23 * expected + 2 ** -149);
            const factor = layer.rowSensitivity[row]! ** (score.degree / 2);
            expect(Math.abs(sensitive[i]! - expected * factor)).toBeLessThanOrEqual(
              2 ** -22 * expected * factor + 2 ** -148 * Math.max(factor, 1),
            );
          });
        }),
      );
    },
  );

  test.each(eachScore)('%s is finite and not negative for every finite input', (_, score) => {
    fc.assert(
      fc.property(extreme, (layer) => {
        const scores = score.score(layer.weights, layer);
        expect(scores).toHaveLength(layer.weights.length);
        expect(scores.every((value) => value >= 0 && value <= greatest)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  test.each(eachScore)('%s of permuted rows and columns are the permuted scores', (_, score) => {
    fc.assert(
      fc.property(ordinary, fc.nat(), (layer, seed) => {
        const { rows, columns } = layer;
        const rowAt = (row: number) => (row + seed) % rows;
        const columnAt = (column: number) => columns - 1 - ((column + seed) % columns);
        const permuteRows = (values: Float32Array) => values.map((_, i) => values[rowAt(i)]!);
        const permuteColumns = (values: Float32Array) => values.map((_, j) => values[columnAt(j)]!);
        const permute = (values: Float32Array) =>
          values.map((_, i) => values[rowAt(Math.floor(i / columns)) * columns + columnAt(i % columns)]!);
        const permuted = {
          rows,
          columns,
          inputSquares: permuteColumns(layer.inputSquares),
          inverseHessianDiagonal: permuteColumns(layer.inverseHessianDiagonal),
          approximation: permute(layer.approximation),
          fisher: permute(layer.fisher),
          rowSensitivity: permuteRows(layer.rowSensitivity),
        };
        expect(score.score(permute(layer.weights), permuted)).toEqual(
          permute(score.score(layer.weights, layer)),
        );
      }),
    );
  });

  test.each(eachScore)(
    '%s of weights times 2^k is scaled by its degree, and selects the same',
    (_, score) => {
      fc.assert(
        fc.property(moderate, fc.integer({ min: -20, max: 20 }), fc.nat(), (layer, exponent, seed) => {
          const times = (values: Float32Array) => values.map((value) => value * 2 ** exponent);
          const scores = score.score(layer.weights, layer);
          const scaled = score.score(times(layer.weights), {
            ...layer,
            approximation: times(layer.approximation),
          });
          expect(scaled).toEqual(scores.map((value) => value * 2 ** (exponent * score.degree)));
          const k = seed % (scores.length + 1);
          expect(selectTopK(scaled, k)).toEqual(selectTopK(scores, k));
        }),
      );
    },
  );

  test('stop at the greatest float32 number', () => {
    const layer = { rows: 1, columns: 2, inverseHessianDiagonal: Float32Array.of(1e-45, 1) };
    expect([...optimalBrainSurgeon.score(Float32Array.of(1e10, 1), layer)]).toEqual([greatest, 1]);
    const sensitive = { rows: 1, columns: 1, rowSensitivity: Float32Array.of(3e38) };
    expect([...timesRowSensitivity(magnitude).score(Float32Array.of(3e38), sensitive)]).toEqual([greatest]);
  });

  test('are 0 where an input is always 0, or the loss does not depend on the weight', () => {
    const shape = { rows: 1, columns: 2 };
    const weights = Float32Array.of(-5, 2);
    const inverseHessianDiagonal = Float32Array.of(Number.POSITIVE_INFINITY, 0.5);
    const fisher = Float32Array.of(0, 1);
    const approximation = new Float32Array(2);
    expect([...wanda.score(weights, { ...shape, inputSquares: Float32Array.of(0, 4) })]).toEqual([0, 4]);
    expect([...optimalBrainSurgeon.score(weights, { ...shape, inverseHessianDiagonal })]).toEqual([0, 8]);
    expect([...leftoverError.score(weights, { ...shape, inverseHessianDiagonal, approximation })]).toEqual([
      0, 8,
    ]);
    expect([...fisherMagnitude.score(weights, { ...shape, fisher })]).toEqual([0, 4]);
    expect([...fisherError.score(weights, { ...shape, fisher, approximation })]).toEqual([0, 4]);
    const rowSensitivity = Float32Array.of(0);
    expect([...timesRowSensitivity(magnitude).score(weights, { ...shape, rowSensitivity })]).toEqual([0, 0]);
  });

  test('do not change weights or statistics', () => {
    const weights = Float32Array.of(-1, 2);
    const layer = statisticsOf(1, 2);
    const before = structuredClone(layer);
    for (const score of allScores) score.score(weights, layer);
    expect(weights).toEqual(Float32Array.of(-1, 2));
    expect(layer).toEqual(before);
  });
});

describe('what scores stand for', () => {
  // H of two correlated inputs: with one weight gone, the other makes up for as much as it can.
  test('optimal brain surgeon is the least squared error without the weight', () => {
    const [a, b, c] = [2, 1.5, 3];
    const determinant = a * c - b * b;
    const inverseHessianDiagonal = Float32Array.of(c / determinant, a / determinant);
    const [w, v] = [0.7, -0.4];
    const [withoutFirst, withoutSecond] = optimalBrainSurgeon.score(Float32Array.of(w, v), {
      rows: 1,
      columns: 2,
      inverseHessianDiagonal,
    });
    const error = (dw: number, dv: number) => a * dw * dw + 2 * b * dw * dv + c * dv * dv;
    // The minimum over the other weight, found by going through its values.
    const changes = Array.from({ length: 20001 }, (_, i) => (i - 10000) / 10000);
    expect(withoutFirst).toBeCloseTo(Math.min(...changes.map((dv) => error(-w, dv))), 5);
    expect(withoutSecond).toBeCloseTo(Math.min(...changes.map((dw) => error(dw, -v))), 5);
  });

  test('with independent inputs, no other K weights leave less error than those of the leftover error', () => {
    const hessian = [0.25, 0.5, 1, 2];
    const inverseHessianDiagonal = Float32Array.from(hessian, (value) => 1 / value);
    const eight = fc.array(
      fc.integer({ min: -8, max: 8 }).map((value) => value / 8),
      { minLength: 8, maxLength: 8 },
    );
    fc.assert(
      fc.property(eight, eight, fc.nat(8), (weights, approximation, k) => {
        const scores = leftoverError.score(Float32Array.from(weights), {
          rows: 2,
          columns: 4,
          approximation: Float32Array.from(approximation),
          inverseHessianDiagonal,
        });
        const errorWithout = (salient: readonly number[]) =>
          weights.reduce((sum, weight, i) => {
            const error = salient.includes(i) ? 0 : weight - approximation[i]!;
            return sum + error ** 2 * hessian[i % 4]!;
          }, 0);
        const error = errorWithout([...selectTopK(scores, k)]);
        for (let set = 0; set < 2 ** 8; set++) {
          const salient = [...weights.keys()].filter((i) => (set >> i) & 1);
          if (salient.length === k) expect(error).toBeLessThanOrEqual(errorWithout(salient));
        }
      }),
    );
  });
});

function statisticsOf(rows: number, columns: number) {
  return {
    rows,
    columns,
    inputSquares: new Float32Array(columns).fill(2),
    inverseHessianDiagonal: new Float32Array(columns).fill(3),
    approximation: new Float32Array(rows * columns).fill(0.5),
    fisher: new Float32Array(rows * columns).fill(4),
    rowSensitivity: new Float32Array(rows).fill(5),
  };
}

describe('errors', () => {
  const needed = allScores.flatMap((score) => score.needs.map((name) => [score.name, name, score] as const));

  test.each(needed)('%s without %s says what is missing and how to get it', (name, statistic, score) => {
    const { [statistic]: _, ...rest } = statisticsOf(2, 3);
    expect(() => score.score(new Float32Array(6), { ...rest, tensor: 'layer.weight' })).toThrow(
      new RegExp(
        `tensor "layer\\.weight": saliency score "${name}": needs ${statistic} \\[.*\\]\\. \\w+ .* "magnitude"`,
      ),
    );
  });

  test.each(needed)('%s refuses %s of the wrong size', (_, statistic, score) => {
    const layer = { ...statisticsOf(2, 3), [statistic]: new Float32Array(7).fill(1) };
    expect(() => score.score(new Float32Array(6), layer)).toThrow(
      new RegExp(`${statistic} has 7 numbers, not [236]\\. It has the shape \\[`),
    );
  });

  test.each(needed)('%s refuses %s with a number that cannot be', (_, statistic, score) => {
    const bad: Record<StatisticName, number[]> = {
      inputSquares: [-1, Number.NaN, Number.POSITIVE_INFINITY],
      inverseHessianDiagonal: [-1, 0, Number.NaN],
      approximation: [Number.NEGATIVE_INFINITY, Number.NaN, Number.POSITIVE_INFINITY],
      fisher: [-1, Number.NaN, Number.POSITIVE_INFINITY],
      rowSensitivity: [-1, Number.NaN, Number.POSITIVE_INFINITY],
    };
    for (const value of bad[statistic]) {
      const layer = statisticsOf(2, 3);
      layer[statistic][1] = value;
      expect(() => score.score(new Float32Array(6), layer)).toThrow(
        `${statistic} at index 1 is ${value}, not a`,
      );
    }
  });

  test.each(eachScore)('%s names the weight that is not finite', (_, score) => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const weights = Float32Array.of(1, 1, 1, 1, bad, 1);
      expect(() => score.score(weights, { ...statisticsOf(2, 3), tensor: 'layer.weight' })).toThrow(
        `tensor "layer.weight": weight [1, 1] is ${bad}`,
      );
    }
  });

  test.each(eachScore)('%s refuses weights of another shape', (_, score) => {
    expect(() => score.score(new Float32Array(5), statisticsOf(2, 3))).toThrow(
      '5 weights are not those of a [2, 3] matrix',
    );
  });
});

describe('defineSaliencyScore', () => {
  const weightedError: SaliencyScore = defineSaliencyScore({
    name: 'weighted-error',
    degree: 2,
    needs: ['approximation', 'inputSquares'],
    parts: ({ approximation, inputSquares }) => ({
      approximation,
      columnFactors: Float64Array.from(inputSquares),
    }),
  });

  test('makes a score of parts', () => {
    expect([...weightedError.score(Float32Array.of(1, -1), statisticsOf(1, 2))]).toEqual([0.5, 4.5]);
  });

  test('leaves a factor that is not a number to be found by the selection', () => {
    const broken = defineSaliencyScore({
      name: 'broken',
      degree: 1,
      needs: [],
      parts: () => ({ columnFactors: Float64Array.of(1, Number.NaN) }),
    });
    const scores = broken.score(Float32Array.of(1, 1), { rows: 1, columns: 2 });
    expect(() => selectTopK(scores, 1)).toThrow('score NaN at index 1');
  });
});
