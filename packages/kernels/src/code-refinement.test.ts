import { defineNumberFormat, int4, lbs4, type NumberFormat, rowLayout } from '@lbs/format';
import { describe, expect, test } from 'vitest';
import { type CodeAssignment, CodeRefinement, type ScaleCandidates } from './code-refinement.js';
import { createRandom } from './fixtures/random-matrix.js';
import { searchedFormats } from './fixtures/searched-formats.js';
import { createKernels } from './kernels.js';

const candidateCount = 5;

interface Problem {
  readonly format: NumberFormat;
  readonly weights: Float32Array;
  readonly rows: number;
  readonly columns: number;
  readonly hessian: Float32Array;
  readonly start: CodeAssignment;
}

/** Random codes are far from the best ones, so that every kind of change happens. */
function createProblem(
  format: NumberFormat,
  rows: number,
  columns: number,
  { seed = rows * columns, magnitude = 1, momentSize = 1, withSalient = true } = {},
): Problem {
  const random = createRandom(seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const { groups, blocks } = rowLayout(format, columns);
  const { levels, centre } = format.levelTable;
  const reach = Math.max(levels[levels.length - 1]! - centre, centre - levels[0]!, 1);
  const zeroPoints = format.zeroPoint
    ? Uint8Array.from({ length: rows * groups }, () => reach * (0.3 + 0.4 * random()))
    : undefined;
  const weights = Float32Array.from({ length: rows * columns }, () => magnitude * normal());
  const scales = Float32Array.from(
    { length: rows * groups },
    () => (magnitude * (1 + random()) * 2) / reach / (format.zeroPoint ? 0.5 : 1),
  );
  const indices = Uint32Array.from(weights.keys()).filter(() => random() < 0.03);
  return {
    ...{ format, rows, columns, weights },
    hessian: createMoments(columns, normal).map((moment) => moment * momentSize),
    start: {
      codes: Uint8Array.from(weights, () => random() * 2 ** format.privateBits),
      shared: Uint8Array.from({ length: rows * blocks }, () => random() * 2 ** format.sharedBits),
      scales,
      zeroPoints,
      salient: withSalient
        ? {
            indices,
            scales: Float32Array.from({ length: rows }, () => magnitude * 0.01 * (1 + random())),
            residuals: Int8Array.from(indices, () => 255 * random() - 127),
          }
        : undefined,
    },
  };
}

/** Second moments of inputs that depend on each other, damped as GPTQ does. */
function createMoments(columns: number, normal: () => number): Float32Array {
  const tokens = Array.from({ length: 2 * columns }, () => {
    let before = 0;
    return Array.from({ length: columns }, (_, i) => {
      before = 0.7 * before + normal();
      return before * (i % 13 === 5 ? 10 : 1);
    });
  });
  const moments = new Float32Array(columns * columns);
  for (let i = 0; i < columns; i++) {
    for (let j = 0; j <= i; j++) {
      const moment = tokens.reduce((sum, x) => sum + x[i]! * x[j]!, 0) / tokens.length;
      moments[i * columns + j] = moments[j * columns + i] = moment;
    }
  }
  const mean = Array.from({ length: columns }, (_, i) => moments[i * (columns + 1)]!).reduce((a, b) => a + b);
  for (let i = 0; i < columns; i++) moments[i * (columns + 1)]! += (0.01 * mean) / columns;
  return moments;
}

/** Present scales and some around them. */
function candidatesOf(scales: Float32Array): ScaleCandidates {
  const steps = [1, 0.94, 0.97, 1.03, 1.06];
  return {
    scales: Float32Array.from(
      { length: scales.length * candidateCount },
      (_, i) => scales[Math.floor(i / candidateCount)]! * steps[i % candidateCount]!,
    ),
    count: candidateCount,
  };
}

function chosenScales({ scales, count }: ScaleCandidates, chosen: Uint8Array): Float32Array {
  return Float32Array.from(chosen, (choice, i) => scales[i * count + choice]!);
}

/** [rows, columns] what codes stand for. */
function decode({ format, rows, columns }: Problem, assignment: CodeAssignment): Float64Array {
  const { groups, blocks } = rowLayout(format, columns);
  const { levels, centre } = format.levelTable;
  const { codes, shared, scales, zeroPoints, salient } = assignment;
  const values = Float64Array.from({ length: rows * columns }, (_, i) => {
    const row = Math.floor(i / columns);
    const column = i % columns;
    const low = blocks > 0 ? shared[row * blocks + Math.floor(column / format.sharingBlock)]! : 0;
    const group = row * groups + Math.floor(column / format.groupSize);
    const level = levels[codes[i]! * 2 ** format.sharedBits + low]!;
    return scales[group]! * (level - centre - (zeroPoints?.[group] ?? 0));
  });
  for (const [i, index] of salient?.indices.entries() ?? []) {
    values[index]! += salient!.scales[Math.floor(index / columns)]! * salient!.residuals[i]!;
  }
  return values;
}

/** [rows] (w - q) H (w - q)^T in float64. */
function lossesOf(problem: Problem, assignment: CodeAssignment): number[] {
  const { weights, rows, columns, hessian } = problem;
  const values = decode(problem, assignment);
  return Array.from({ length: rows }, (_, row) => {
    const error = (j: number) => weights[row * columns + j]! - values[row * columns + j]!;
    let loss = 0;
    for (let i = 0; i < columns; i++) {
      let sum = 0;
      for (let j = 0; j < columns; j++) sum += hessian[i * columns + j]! * error(j);
      loss += error(i) * sum;
    }
    return loss;
  });
}

function total(values: ArrayLike<number>): number {
  return Array.from(values).reduce((sum, value) => sum + value, 0);
}

/** Sweeps as the kernels do them, in float64, one row and one change at a time, with the gradient up to date after each. */
function refinePlainly(
  problem: Problem,
  sweeps: number,
): { assignment: CodeAssignment; losses: Float64Array } {
  const { format, weights, rows, columns, hessian, start } = problem;
  const { groups, blocks } = rowLayout(format, columns);
  const { levels, centre } = format.levelTable;
  const tableRows = 2 ** format.sharedBits;
  const size = format.sharedBits > 0 ? format.sharingBlock : 16;
  const codes = start.codes.slice();
  const shared = start.shared.slice();
  const residuals = start.salient?.residuals.slice() ?? new Int8Array();
  const salientAt = new Map(Array.from(start.salient?.indices ?? [], (index, i) => [index, i]));
  const losses = new Float64Array(rows);
  let scales = start.scales;
  for (let sweep = 0; sweep < sweeps; sweep++) {
    const candidates = candidatesOf(scales);
    const next = scales.slice();
    for (let r = 0; r < rows; r++) {
      const before = {
        ...start,
        codes,
        shared,
        scales: next,
        ...(start.salient && { salient: { ...start.salient, residuals } }),
      };
      const values = decode(problem, before)
        .subarray(r * columns, (r + 1) * columns)
        .slice();
      const gradient = Float64Array.from({ length: columns }, (_, i) => {
        let sum = 0;
        for (let j = 0; j < columns; j++)
          sum += hessian[i * columns + j]! * (weights[r * columns + j]! - values[j]!);
        return sum;
      });
      const lossOf = (j: number, x: number) => x * (x * hessian[j * (columns + 1)]! - 2 * gradient[j]!);
      const change = (j: number, x: number) => {
        values[j]! += x;
        for (let k = 0; k < columns; k++) gradient[k]! -= x * hessian[j * columns + k]!;
      };
      const inDirection = (count: number) =>
        Array.from({ length: count }, (_, i) => (sweep % 2 === 0 ? i : count - 1 - i));
      for (const g of inDirection(groups)) {
        const [from, to] = [g * format.groupSize, Math.min((g + 1) * format.groupSize, columns)];
        const group = r * groups + g;
        const offset = centre + (start.zeroPoints?.[group] ?? 0);
        const rowOf = (j: number) => (blocks > 0 ? shared[r * blocks + Math.floor(j / size)]! : 0);
        const levelAt = (j: number) => levels[codes[r * columns + j]! * tableRows + rowOf(j)]! - offset;
        for (let i = from; i < to && sweep === 0; i++)
          losses[r]! += (weights[r * columns + i]! - values[i]!) * gradient[i]!;
        let [square, product] = [0, 0];
        for (let i = from; i < to; i++) {
          product += levelAt(i) * gradient[i]!;
          for (let j = from; j < to; j++) square += levelAt(i) * hessian[i * columns + j]! * levelAt(j);
        }
        let least = 0;
        for (let k = 1; k < candidateCount; k++) {
          const candidate = candidates.scales[group * candidateCount + k]!;
          const d = candidate - scales[group]!;
          const loss = d * (d * square - 2 * product);
          if (loss < least) [least, next[group]] = [loss, candidate];
        }
        const step = next[group]! - scales[group]!;
        if (step !== 0) for (let j = from; j < to; j++) change(j, step * levelAt(j));
        for (const b of inDirection(Math.ceil((to - from) / size))) {
          const first = from + b * size;
          const members = Array.from({ length: Math.min(size, to - first) }, (_, i) => first + i);
          const present = rowOf(first);
          let best:
            | { sum: number; c: number; moves: { code: number; residual: number; x: number }[] }
            | undefined;
          for (let c = 0; c < tableRows; c++) {
            const trial = { sum: 0, c, moves: [] as { code: number; residual: number; x: number }[] };
            for (const j of members) {
              const index = r * columns + j;
              const target = values[j]! + gradient[j]! / hessian[j * (columns + 1)]!;
              const valueAt = (h: number) => next[group]! * (levels[h * tableRows + c]! - offset);
              let code = 0;
              for (let h = 1; h < 2 ** format.privateBits; h++) {
                if (Math.abs(valueAt(h) - target) <= Math.abs(valueAt(code) - target)) code = h;
              }
              let value = valueAt(code);
              let residual = 0;
              if (salientAt.has(index)) {
                const sigma = start.salient!.scales[r]!;
                residual = Math.min(Math.max(Math.round((target - value) / sigma), -127), 127);
                value += sigma * residual;
              }
              let x = value - values[j]!;
              if (c === present && !(lossOf(j, x) < 0)) {
                x = 0;
                code = codes[index]!;
                residual = residuals[salientAt.get(index) ?? -1] ?? 0;
              }
              trial.sum += lossOf(j, x);
              trial.moves.push({ code, residual, x });
              change(j, x);
            }
            for (const [i, j] of members.entries()) change(j, -trial.moves[i]!.x);
            if (!best || trial.sum < best.sum) best = trial;
          }
          for (const [i, j] of members.entries()) {
            const { code, residual, x } = best!.moves[i]!;
            change(j, x);
            codes[r * columns + j] = code;
            const place = salientAt.get(r * columns + j);
            if (place !== undefined) residuals[place] = residual;
          }
          if (blocks > 0) shared[r * blocks + first / size] = best!.c;
        }
      }
    }
    scales = next;
  }
  const assignment = {
    ...start,
    codes,
    shared,
    scales,
    ...(start.salient && { salient: { ...start.salient, residuals } }),
  };
  return { assignment, losses };
}

async function refineWithKernels(
  problem: Problem,
  { sweeps, threads = 1 }: { sweeps: number; threads?: number },
): Promise<{ assignment: CodeAssignment; gains: number[]; losses: Float64Array }> {
  const kernels = await createKernels({ threads });
  const bytes = kernels.bytes;
  const refinement = new CodeRefinement(kernels, problem);
  const { salient } = problem.start;
  let { scales } = problem.start;
  const gains: number[] = [];
  let losses = new Float64Array();
  for (let sweep = 0; sweep < sweeps; sweep++) {
    const candidates = candidatesOf(scales);
    const result = refinement.sweep(candidates);
    scales = chosenScales(candidates, result.chosen);
    gains.push(total(result.gains));
    losses = Float64Array.from(result.losses);
  }
  const { residuals, ...codes } = refinement.read();
  refinement.release();
  expect(kernels.bytes).toBe(bytes);
  kernels.close();
  return {
    assignment: {
      ...problem.start,
      ...codes,
      scales,
      ...(salient && { salient: { ...salient, residuals } }),
    },
    gains,
    losses,
  };
}

/** Rows that have a code or a scale other than expected: where two are as good, float32 may take the other. */
function differingRows({ format, rows, columns }: Problem, a: CodeAssignment, b: CodeAssignment): number {
  const { groups } = rowLayout(format, columns);
  let count = 0;
  for (let r = 0; r < rows; r++) {
    const text = ({ codes, scales }: CodeAssignment) =>
      `${codes.subarray(r * columns, (r + 1) * columns)} ${scales.subarray(r * groups, (r + 1) * groups)}`;
    if (text(a) !== text(b)) count++;
  }
  return count;
}

const formats: readonly NumberFormat[] = [
  ...searchedFormats,
  defineNumberFormat({ name: 'a group a row', privateBits: 3, groupSize: 65536 }),
];

describe.each(formats.map((format) => [format.name, format] as const))(
  'the refinement of codes in %s',
  (_, format) => {
    test.each([
      [1, 64, 1, false],
      [17, 100, 1, true],
      [33, 77, 2, false],
      [5, 200, 3, true],
      [16, 7, 2, true],
    ])(
      '%i rows, %i columns, %i sweeps: equals a plain descent (salient weights %s)',
      async (rows, columns, sweeps, withSalient) => {
        const problem = createProblem(format, rows, columns, { withSalient });
        const { assignment: expected, losses: expectedLosses } = refinePlainly(problem, sweeps);
        const { assignment, losses } = await refineWithKernels(problem, { sweeps });
        const [loss, expectedLoss] = [assignment, expected].map((one) => total(lossesOf(problem, one)));
        expect(differingRows(problem, assignment, expected)).toBeLessThanOrEqual(Math.ceil(rows / 4));
        expect(Math.abs(loss! / expectedLoss! - 1)).toBeLessThan(0.02);
        expect(Math.abs(total(losses) / total(expectedLosses) - 1)).toBeLessThan(0.01);
        expect(expectedLoss).toBeLessThan(0.5 * total(lossesOf(problem, problem.start)));
      },
    );

    test.each([
      ['usual', 1, 1],
      ['great', 1e18, 1e12],
      ['small', 1e-18, 1e-12],
    ])(
      'no sweep raises the loss of a row, and the gains are those of the losses: %s magnitudes',
      async (_name, magnitude, momentSize) => {
        const problem = createProblem(format, 19, 100, { magnitude, momentSize });
        let before = lossesOf(problem, problem.start);
        for (let sweeps = 1; sweeps <= 4; sweeps++) {
          const { assignment, gains } = await refineWithKernels(problem, { sweeps });
          const after = lossesOf(problem, assignment);
          for (const [row, loss] of after.entries())
            expect(loss).toBeLessThanOrEqual(before[row]! * (1 + 1e-5));
          expect(total(before) - total(after)).toBeCloseTo(
            gains[sweeps - 1]!,
            -Math.log10(1e-4 * total(before)),
          );
          before = after;
        }
      },
    );

    test('gives the same codes on any number of threads', async () => {
      const problem = createProblem(format, 70, 96);
      const alone = await refineWithKernels(problem, { sweeps: 2 });
      for (const threads of [2, 4])
        expect(await refineWithKernels(problem, { sweeps: 2, threads })).toEqual(alone);
    });
  },
);

test('what cannot be better stays: weights that are on the grid keep their codes', async () => {
  const problem = createProblem(lbs4, 20, 128);
  const { scales, ...unchanged } = problem.start;
  const weights = Float32Array.from(decode(problem, problem.start));
  const { assignment } = await refineWithKernels({ ...problem, weights }, { sweeps: 2 });
  expect(assignment).toEqual({ ...unchanged, scales });
});

test('groups with a scale of 0 stay at 0', async () => {
  const problem = createProblem(lbs4, 3, 64, { withSalient: false });
  problem.start.scales.fill(0);
  const { assignment, gains } = await refineWithKernels(problem, { sweeps: 2 });
  expect(assignment.scales.every((scale) => scale === 0)).toBe(true);
  expect(gains).toEqual([0, 0]);
});

test('refuses weights and second moments of another size', async () => {
  const kernels = await createKernels();
  const problem = { ...createProblem(int4, 2, 16), hessian: new Float32Array(16) };
  expect(() => new CodeRefinement(kernels, problem)).toThrow(
    'has 32 weights and 256 second moments, not 32 and 16',
  );
});
