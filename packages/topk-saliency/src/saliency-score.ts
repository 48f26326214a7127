import { NonFiniteWeightError } from '@lbs/format';
import { assertMatrixShape } from './matrix-shape.js';
import {
  type KnownStatistics,
  requireStatistics,
  type SaliencyInputs,
  type StatisticName,
} from './saliency-statistics.js';

/**
 * How much each weight of a matrix [rows, columns] matters, as a finite number of at least 0; the greater the number,
 * the more is lost where the weight is not salient.
 */
export interface SaliencyScore {
  readonly name: string;
  /**
   * With the weights (and what approximates them) t times as large, scores are t^degree times as large: 1 for an error,
   * 2 for its square.
   */
  readonly degree: 1 | 2;
  /** The statistics that `score` has to be given. */
  readonly needs: readonly StatisticName[];
  /**
   * [rows, columns] scores. Throws InvalidArgumentError where a statistic is missing or not valid, NonFiniteWeightError
   * where a weight is NaN or infinite.
   */
  score(weights: Float32Array, inputs: SaliencyInputs): Float32Array;
}

/**
 * The parts of a score: |w_ij - approximation_ij|^degree * columnFactors_j * weightFactors_ij. An approximation that is
 * left out is 0, a factor is 1.
 */
export interface ScoreParts {
  /** [rows, columns] */
  readonly approximation?: Float32Array;
  /** [columns] */
  readonly columnFactors?: Float64Array;
  /** [rows, columns] */
  readonly weightFactors?: Float32Array;
}

/** A score as it is declared. */
export interface SaliencyScoreOptions<Names extends StatisticName> {
  readonly name: string;
  readonly degree: 1 | 2;
  readonly needs: readonly Names[];
  /** The parts, from statistics that are known to be valid; factors are finite and at least 0. */
  parts(statistics: KnownStatistics<Names>): ScoreParts;
}

const greatestFloat32 = 2 ** 128 - 2 ** 104;

/** The greatest finite float32 number where a score is beyond it. */
export function clampToFloat32(score: number): number {
  return Math.min(score, greatestFloat32);
}

/**
 * Makes a score from its declaration. It checks weights and statistics, computes in float64 and rounds once to float32:
 * what is beyond its range becomes its greatest finite number, what is 2^-150 or less becomes 0.
 */
export function defineSaliencyScore<Names extends StatisticName = never>(
  options: SaliencyScoreOptions<Names>,
): SaliencyScore {
  const { name, degree, needs } = options;
  return {
    name,
    degree,
    needs,
    score(weights, inputs) {
      assertMatrixShape('weights', weights.length, inputs, inputs.tensor);
      assertFinite(weights, inputs);
      return product(weights, inputs.columns, degree, options.parts(requireStatistics(options, inputs)));
    },
  };
}

function product(
  weights: Float32Array,
  columns: number,
  degree: 1 | 2,
  { approximation, columnFactors, weightFactors }: ScoreParts,
): Float32Array {
  const scores = new Float32Array(weights.length);
  for (let row = 0; row < weights.length; row += columns) {
    for (let column = 0; column < columns; column++) {
      const i = row + column;
      const error = Math.abs(weights[i]! - (approximation ? approximation[i]! : 0));
      let score = degree === 1 ? error : error * error;
      if (columnFactors) score *= columnFactors[column]!;
      if (weightFactors) score *= weightFactors[i]!;
      scores[i] = clampToFloat32(score);
    }
  }
  return scores;
}

function assertFinite(weights: Float32Array, { columns, tensor }: SaliencyInputs): void {
  for (let i = 0; i < weights.length; i++) {
    if (Number.isFinite(weights[i])) continue;
    throw new NonFiniteWeightError(`weight [${Math.floor(i / columns)}, ${i % columns}] is ${weights[i]}`, {
      tensor,
      mend: 'The checkpoint is damaged or was saved after training diverged: use another one.',
    });
  }
}
