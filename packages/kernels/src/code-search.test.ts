import { lbs4, type NumberFormat, rowLayout } from '@lbs/format';
import { describe, expect, test } from 'vitest';
import type { GroupParameters, SalientSearch } from './code-parameters.js';
import { type ChosenCodes, CodeSearch, type ErrorFeedback } from './code-search.js';
import { searchedFormats } from './fixtures/searched-formats.js';
import { createKernels } from './kernels.js';

/** Uniform numbers in [0, 1) that are the same on every run. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

interface Problem {
  readonly format: NumberFormat;
  readonly weights: Float32Array;
  readonly rows: number;
  readonly columns: number;
  readonly importance: Float32Array;
  readonly parameters: GroupParameters & { scales: Float32Array };
  /** [columns, columns] upper triangular. */
  readonly upper: Float32Array;
  readonly order: Uint32Array;
  readonly salient: SalientSearch;
}

function createProblem(format: NumberFormat, rows: number, columns: number, seed: number): Problem {
  const random = createRandom(seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const { groups } = rowLayout(format, columns);
  const { levels, centre } = format.levelTable;
  const reach = Math.max(levels[levels.length - 1]! - centre, centre - levels[0]!, 1);
  const upper = new Float32Array(columns * columns);
  for (let i = 0; i < columns; i++) {
    upper[i * (columns + 1)] = 0.5 + random();
    for (let j = i + 1; j < columns; j++) upper[i * columns + j] = 0.2 * normal();
  }
  const size = format.sharedBits > 0 ? format.sharingBlock : 1;
  const whole = Math.floor(columns / size);
  const blocks = Array.from({ length: Math.ceil(columns / size) }, (_, block) => block);
  for (let i = whole - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [blocks[i], blocks[j]] = [blocks[j]!, blocks[i]!];
  }
  return {
    format,
    rows,
    columns,
    weights: Float32Array.from({ length: rows * columns }, normal),
    importance: Float32Array.from({ length: columns }, () => 0.1 + random()),
    parameters: {
      scales: Float32Array.from({ length: rows * groups }, () => ((1 + random()) * 2) / reach),
      zeroPoints: format.zeroPoint
        ? Uint8Array.from({ length: rows * groups }, () => reach * (0.3 + 0.4 * random()))
        : undefined,
    },
    upper,
    order: Uint32Array.from(
      blocks.flatMap((block) =>
        Array.from({ length: Math.min(size, columns - block * size) }, (_, i) => block * size + i),
      ),
    ),
    salient: {
      indices: Uint32Array.from(
        Array.from({ length: rows * columns }, (_, i) => i).filter(() => random() < 0.03),
      ),
      scales: Float32Array.from({ length: rows }, () => 0.01 * (1 + random())),
    },
  };
}

/** The same search in float64, one weight at a time; also the least distance of a weight to a border, to know ties. */
function searchPlainly(
  { format, weights, rows, columns, importance, parameters, upper, order, salient }: Problem,
  { feedback, withSalient }: { feedback: boolean; withSalient: boolean },
): { codes: Uint8Array; shared: Uint8Array; residuals: Int8Array; loss: number } {
  const { groups } = rowLayout(format, columns);
  const { levels, centre } = format.levelTable;
  const tableRows = 2 ** format.sharedBits;
  const size = format.sharedBits > 0 ? format.sharingBlock : 16;
  const blocks = Math.ceil(columns / size);
  const codes = new Uint8Array(rows * columns);
  const shared = new Uint8Array(format.sharedBits > 0 ? rows * blocks : 0);
  const isSalient = new Set(withSalient ? salient.indices : []);
  const residualOf = new Map<number, number>();
  const searchOrder = feedback ? order : order.slice().sort();
  let loss = 0;
  for (let r = 0; r < rows; r++) {
    const row = Float64Array.from(searchOrder, (column) => weights[r * columns + column]!);
    for (let from = 0; from < columns; from += size) {
      const to = Math.min(from + size, columns);
      let best:
        | { sum: number; c: number; errors: number[]; codes: number[]; residuals: number[] }
        | undefined;
      for (let c = 0; c < tableRows; c++) {
        const trial = { sum: 0, c, errors: [] as number[], codes: [] as number[], residuals: [] as number[] };
        for (let k = from; k < to; k++) {
          const column = searchOrder[k]!;
          let w = row[k]!;
          if (feedback) for (let i = from; i < k; i++) w -= upper[i * columns + k]! * trial.errors[i - from]!;
          const group = r * groups + Math.floor(column / format.groupSize);
          const scale = parameters.scales[group]!;
          const zeroPoint = parameters.zeroPoints?.[group] ?? 0;
          let code = 0;
          const levelValue = (h: number) => scale * (levels[h * tableRows + c]! - centre - zeroPoint);
          for (let h = 1; h < 2 ** format.privateBits; h++) {
            if (Math.abs(levelValue(h) - w) <= Math.abs(levelValue(code) - w)) code = h;
          }
          let left = w - levelValue(code);
          let residual = 0;
          if (isSalient.has(r * columns + column)) {
            residual = Math.min(Math.max(Math.round(left / salient.scales[r]!), -127), 127);
            left -= salient.scales[r]! * residual;
          }
          const counts = importance[importance.length === columns ? column : r * columns + column]!;
          const weight = feedback ? 1 / upper[k * (columns + 1)]! : Math.sqrt(counts);
          trial.errors.push(left * weight);
          trial.codes.push(code);
          trial.residuals.push(residual);
          trial.sum += (left * weight) ** 2;
        }
        if (!best || trial.sum < best.sum) best = trial;
      }
      loss += best!.sum;
      for (let k = from; k < to; k++) {
        codes[r * columns + searchOrder[k]!] = best!.codes[k - from]!;
        residualOf.set(r * columns + searchOrder[k]!, best!.residuals[k - from]!);
      }
      if (format.sharedBits > 0) shared[r * blocks + Math.floor(searchOrder[from]! / size)] = best!.c;
      if (!feedback) continue;
      for (let k = to; k < columns; k++) {
        for (let i = from; i < to; i++) row[k]! -= upper[i * columns + k]! * best!.errors[i - from]!;
      }
    }
  }
  const residuals = Int8Array.from(withSalient ? salient.indices : [], (index) => residualOf.get(index)!);
  return { codes, shared, residuals, loss };
}

async function searchWithKernels(
  problem: Problem,
  { feedback, withSalient, threads = 1 }: { feedback: boolean; withSalient: boolean; threads?: number },
): Promise<ChosenCodes> {
  const kernels = await createKernels({ threads });
  const upper = kernels.allocate(problem.upper.byteLength);
  kernels.float32(upper, problem.upper.length).set(problem.upper);
  const search = new CodeSearch(kernels, problem);
  const errorFeedback: ErrorFeedback = { upper, order: problem.order };
  const chosen = search.choose(problem.parameters, {
    feedback: feedback ? errorFeedback : undefined,
    salient: withSalient ? problem.salient : undefined,
  });
  search.release();
  kernels.close();
  return chosen;
}

/** Rows that have a code other than expected: where a weight lies on a border, float32 may fall to the other side. */
function differingRows(problem: Problem, a: Uint8Array, b: Uint8Array): number {
  let count = 0;
  for (let r = 0; r < problem.rows; r++) {
    const slice = (codes: Uint8Array) =>
      codes.subarray(r * problem.columns, (r + 1) * problem.columns).join();
    if (slice(a) !== slice(b)) count++;
  }
  return count;
}

describe.each(searchedFormats.map((format) => [format.name, format] as const))(
  'the code search for %s',
  (_, format) => {
    test.each([
      [1, 64, false, false],
      [5, 100, true, false],
      [17, 128, true, true],
      [33, 77, false, true],
      [16, 7, true, true],
    ])(
      '%i rows, %i columns: equals a plain search (feedback %s, salient weights %s)',
      async (rows, columns, feedback, withSalient) => {
        const problem = createProblem(format, rows, columns, rows * columns);
        const expected = searchPlainly(problem, { feedback, withSalient });
        const chosen = await searchWithKernels(problem, { feedback, withSalient });
        expect(Math.abs(chosen.loss - expected.loss) / expected.loss).toBeLessThan(1e-3);
        expect(differingRows(problem, chosen.codes, expected.codes)).toBeLessThanOrEqual(
          Math.ceil(rows / 16),
        );
        if (rows === 1) expect(chosen.shared).toEqual(expected.shared);
        expect(chosen.residuals.length).toBe(expected.residuals.length);
      },
    );

    test('counts each weight as its own importance says', async () => {
      const random = createRandom(7);
      const importance = Float32Array.from({ length: 35 * 100 }, () => random() ** 4);
      const problem = { ...createProblem(format, 35, 100, 3), importance };
      const options = { feedback: false, withSalient: true };
      const expected = searchPlainly(problem, options);
      const chosen = await searchWithKernels(problem, options);
      expect(Math.abs(chosen.loss / expected.loss - 1)).toBeLessThan(1e-3);
      expect(differingRows(problem, chosen.codes, expected.codes)).toBeLessThanOrEqual(2);
    });

    test.each([100, 1900])('gives the errors of rounding for each group (%i importances)', async (count) => {
      const problem = createProblem(format, 19, 100, 3);
      const random = createRandom(8);
      Object.assign(problem, { importance: Float32Array.from({ length: count }, random) });
      const kernels = await createKernels();
      const search = new CodeSearch(kernels, problem);
      const errors = search.errors(problem.parameters);
      const total = searchPlainly(problem, { feedback: false, withSalient: false }).loss;
      expect(errors.length).toBe(19 * rowLayout(format, 100).groups);
      expect(errors.reduce((sum, error) => sum + error, 0) / total).toBeCloseTo(1, 4);
      search.release();
    });

    test('gives the same codes on any number of threads', async () => {
      const problem = createProblem(format, 70, 96, 5);
      const options = { feedback: true, withSalient: true };
      const alone = await searchWithKernels(problem, options);
      for (const threads of [2, 4])
        expect(await searchWithKernels(problem, { ...options, threads })).toEqual(alone);
    });
  },
);

test('a group of zeros with a scale of 0 keeps its weights at 0 and feeds nothing back', async () => {
  const problem = createProblem(lbs4, 3, 64, 9);
  problem.weights.fill(0);
  problem.parameters.scales.fill(0);
  const chosen = await searchWithKernels(problem, { feedback: true, withSalient: false });
  expect(chosen.loss).toBe(0);
});

test('refuses weights and importances of another size', async () => {
  const kernels = await createKernels();
  const problem = {
    format: lbs4,
    weights: new Float32Array(3),
    rows: 2,
    columns: 2,
    importance: new Float32Array(2),
  };
  expect(() => new CodeSearch(kernels, problem)).toThrow(
    'has 4 weights and 2 or as many importances, not 3 and 2',
  );
});
