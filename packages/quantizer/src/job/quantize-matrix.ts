import {
  dequantize,
  InvalidArgumentError,
  NonFiniteWeightError,
  type QuantizedMatrix,
  TensorMismatchError,
} from '@lbs/format';
import type { Kernels } from '@lbs/kernels';
import { selectTopK } from '@lbs/topk-saliency';
import type { InputStatistics } from '../calibration/input-statistics.js';
import type { ResolvedRule } from '../recipe/resolved-rule.js';
import { roundToNearest } from '../solvers/round-to-nearest.js';
import { type MatrixScaling, scaleWeights, unscaleWeights } from '../transforms/matrix-scaling.js';

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
}

/** Quantizes one matrix by a rule: checks it, scales it, selects its salient weights, and has the solver choose its codes. */
export function quantizeMatrix(
  tensor: WeightTensor,
  rule: ResolvedRule,
  { kernels, statistics, scaling }: MatrixTask,
): MatrixResult {
  const { format, solver, salient } = rule;
  const { rows, columns } = checkMatrix(tensor);
  const weights = scaling ? scaleWeights(tensor.values, columns, scaling) : tensor.values;
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
  const input = { weights, rows, columns, format, kernels, statistics };
  const count = salient ? Math.round(salient.fraction * weights.length) : 0;
  const matrix = solver.solve(count > 0 ? { ...input, salient: selectSalient(count) } : input);
  const restored = dequantize(matrix);
  const dequantized = scaling ? unscaleWeights(restored, columns, scaling) : restored;
  return { matrix, dequantized, relativeError: relativeSquaredError(tensor.values, dequantized) };

  function selectSalient(k: number): Uint32Array {
    const { score } = salient!;
    const needs = new Set(score.needs);
    const scores = score.score(weights, {
      rows,
      columns,
      tensor: tensor.name,
      ...(needs.has('inputSquares') && statistics && { inputSquares: statistics.inputSquares }),
      ...(needs.has('inverseHessianDiagonal') &&
        statistics && { inverseHessianDiagonal: statistics.inverseDiagonal(format) }),
      ...(needs.has('approximation') && { approximation: dequantize(roundToNearest.solve(input)) }),
    });
    return selectTopK(scores, k);
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
