import {
  InvalidArgumentError,
  NonFiniteWeightError,
  type QuantizedMatrix,
  TensorMismatchError,
} from '@lbs/format';
import type { Kernels } from '@lbs/kernels';
import { selectSalient } from '@lbs/topk-saliency';
import type { InputStatistics } from '../calibration/input-statistics.js';
import type { ResolvedRule, SalientRule } from '../recipe/resolved-rule.js';
import { roundToNearest } from '../solvers/round-to-nearest.js';
import { type MatrixScaling, scaleWeights, unscaleWeights } from '../transforms/matrix-scaling.js';
import { restoreMatrix } from './restore-matrix.js';
import { salientAmount } from './salient-amount.js';

/** A weight tensor as it is read. */
export interface WeightTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Row-major. */
  readonly values: Float32Array;
  /** Of the file that it comes from, for errors. */
  readonly file: string;
}

/** What quantization of one matrix gives. */
export interface MatrixResult {
  readonly matrix: QuantizedMatrix;
  /** [rows, columns] what the matrix stands for, with the scaling taken back. */
  readonly dequantized: Float32Array;
  /** Squared error over squared weights. */
  readonly relativeError: number;
}

/** What a matrix is quantized with. */
export interface MatrixTask {
  readonly kernels: Kernels;
  /** Of its inputs, as scaled. */
  readonly statistics?: InputStatistics | undefined;
  /** How its weights are scaled before they are quantized. */
  readonly scaling?: MatrixScaling | undefined;
  /** Share of the error of layers before that is made up for. */
  readonly errorPropagation?: number | undefined;
}

/**
 * Quantizes one matrix by a rule: checks it, scales it, makes up for the errors of layers before, selects its salient weights, has the solver choose
 * its codes and refines them.
 */
export function quantizeMatrix(
  tensor: WeightTensor,
  rule: ResolvedRule,
  { kernels, statistics, scaling, errorPropagation }: MatrixTask,
): MatrixResult {
  const { format, solver, salient, refine } = rule;
  const { rows, columns } = checkMatrix(tensor);
  const scaled = scaling ? scaleWeights(tensor.values, columns, scaling) : tensor.values;
  if (rule.needsStatistics && !statistics) {
    throw new InvalidArgumentError(
      'the recipe measures the inputs of a layer that is not one of a decoder block',
      {
        file: tensor.file,
        tensor: tensor.name,
        mend: 'Give it a rule of its own with the solver "rtn" and a score without statistics, or put it on the ignore list.',
      },
    );
  }
  const weights =
    statistics && errorPropagation ? statistics.compensate(scaled, format, errorPropagation) : scaled;
  const input = { weights, rows, columns, format, kernels, statistics };
  const indices = salient && selectBy(salient);
  const task = indices?.length ? { ...input, salient: indices } : input;
  const solved = solver.solve(task);
  const matrix = refine ? refine.method.refine(solved, task, refine.options) : solved;
  const restored = restoreMatrix(kernels, matrix);
  const dequantized = scaling ? unscaleWeights(restored, columns, scaling) : restored;
  return { matrix, dequantized, relativeError: relativeSquaredError(tensor.values, dequantized) };

  function selectBy(salientRule: SalientRule): Uint32Array {
    const { score, per } = salientRule;
    const needs = new Set(score.needs);
    const scores = score.score(weights, {
      rows,
      columns,
      tensor: tensor.name,
      ...(needs.has('inputSquares') && statistics && { inputSquares: statistics.inputSquares }),
      ...(needs.has('inverseHessianDiagonal') &&
        statistics && { inverseHessianDiagonal: statistics.inverseDiagonal(format) }),
      ...(needs.has('approximation') && {
        approximation: restoreMatrix(kernels, roundToNearest.solve(input)),
      }),
    });
    return selectSalient(scores, { rows, columns, per, amount: salientAmount(salientRule, rows, columns) });
  }
}

/**
 * The shape of a matrix. Throws TensorMismatchError where the tensor is none, NonFiniteWeightError for the first weight that is NaN or infinite.
 */
export function checkMatrix({ name, shape, values, file }: WeightTensor): { rows: number; columns: number } {
  const [rows, columns] = shape;
  if (shape.length !== 2 || !rows || !columns) {
    throw new TensorMismatchError(
      `only matrices can be quantized, and this tensor has shape [${shape.join(', ')}]`,
      { file, tensor: name, mend: 'Leave the module out of the targets of the recipe.' },
    );
  }
  const bad = values.findIndex((weight) => !Number.isFinite(weight));
  if (bad >= 0) {
    throw new NonFiniteWeightError(
      `weight [${Math.floor(bad / columns)}, ${bad % columns}] is ${values[bad]}`,
      {
        file,
        tensor: name,
        mend: 'The checkpoint is damaged or was saved after training diverged: use another one.',
      },
    );
  }
  return { rows, columns };
}

function relativeSquaredError(weights: Float32Array, approximation: Float32Array): number {
  let error = 0;
  let energy = 0;
  for (let i = 0; i < weights.length; i++) {
    error += (weights[i]! - approximation[i]!) ** 2;
    energy += weights[i]! ** 2;
  }
  return energy > 0 ? error / energy : 0;
}
