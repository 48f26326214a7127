import { InvalidArgumentError, type QuantizedMatrix } from '@lbs/format';
import type { Kernels } from '@lbs/kernels';
import { selectSalient } from '@lbs/topk-saliency';
import type { InputStatistics } from '../calibration/input-statistics.js';
import type { ResolvedRule, SalientRule } from '../recipe/resolved-rule.js';
import { salientAmount } from '../recipe/salient-amount.js';
import type { MatrixSensitivity } from '../sensitivity/sensitivity.js';
import { restoreMatrix } from '../solvers/restore-matrix.js';
import { roundToNearest } from '../solvers/round-to-nearest.js';
import { checkMatrix, type WeightTensor } from '../source/weight-tensor.js';
import { type MatrixScaling, scaleWeights, unscaleWeights } from '../transforms/matrix-scaling.js';

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
  /** How much the loss depends on its weights, before they are scaled. */
  readonly sensitivity?: MatrixSensitivity | undefined;
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
  { kernels, statistics, sensitivity, scaling, errorPropagation }: MatrixTask,
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
      ...(needs.has('fisher') && sensitivity && { fisher: fisherOf(sensitivity, columns, scaling) }),
      ...(needs.has('rowSensitivity') &&
        sensitivity && { rowSensitivity: scaledBy(sensitivity.rows, scaling?.rows, 2) }),
      ...(needs.has('approximation') && {
        approximation: restoreMatrix(kernels, roundToNearest.solve(input)),
      }),
    });
    return selectSalient(scores, { rows, columns, per, amount: salientAmount(salientRule, rows, columns) });
  }
}

/** [rows, columns] mean squared gradients by the scaled weights W' = diag(1 / rows) W diag(columns), as far as those of outputs and inputs tell. */
function fisherOf(
  sensitivity: MatrixSensitivity,
  columns: number,
  scaling: MatrixScaling = {},
): Float32Array {
  const ofRows = scaledBy(sensitivity.rows, scaling.rows, 2);
  const ofColumns = scaledBy(sensitivity.columns, scaling.columns, -2);
  return Float32Array.from(
    { length: ofRows.length * columns },
    (_, i) => ofRows[Math.floor(i / columns)]! * ofColumns[i % columns]!,
  );
}

function scaledBy(values: Float32Array, scales: Float32Array | undefined, power: number): Float32Array {
  return scales ? values.map((value, i) => value * scales[i]! ** power) : values;
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
