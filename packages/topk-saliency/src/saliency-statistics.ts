import { InvalidArgumentError } from '@lbs/format';

/**
 * What calibration knows about a weight matrix W [rows, columns] with inputs x [columns] and outputs y = W x [rows].
 * Means, not sums, over the same tokens for every matrix make the scores of different matrices comparable.
 */
export interface SaliencyStatistics {
  /** [columns] mean of x_j^2, the diagonal of the Hessian H = mean(x x^T); 0 for an input that is always 0. */
  readonly inputSquares?: Float32Array;
  /**
   * [columns] diagonal of the inverse of the damped Hessian, [H^-1]_jj. Infinite where the loss does not depend on a
   * column, so that its scores are 0; with damping L an input that is always 0 has 1 / L instead.
   */
  readonly inverseHessianDiagonal?: Float32Array;
  /** [rows, columns] what W becomes when no weight is salient: its codes, dequantized. */
  readonly approximation?: Float32Array;
  /**
   * [rows, columns] mean of the squared gradient of the loss by each weight, the diagonal of the empirical Fisher
   * matrix.
   */
  readonly fisher?: Float32Array;
  /** [rows] mean of the squared gradient of the loss by each output y_i. */
  readonly rowSensitivity?: Float32Array;
}

/** Names of statistics. */
export type StatisticName = keyof SaliencyStatistics;

/** The shape of a weight matrix with what is known about it. */
export interface SaliencyInputs extends SaliencyStatistics {
  readonly rows: number;
  readonly columns: number;
  /** Name of the tensor, for errors. */
  readonly tensor?: string | undefined;
}

/** Statistics of which some are there. */
export type KnownStatistics<Names extends StatisticName> = Required<Pick<SaliencyStatistics, Names>>;

interface StatisticRule {
  readonly shape: readonly ('rows' | 'columns')[];
  /** Range of its numbers, ends included. */
  readonly least: number;
  readonly greatest: number;
  /** How to get it. */
  readonly mend: string;
}

const rules: Record<StatisticName, StatisticRule> = {
  inputSquares: {
    shape: ['columns'],
    least: 0,
    greatest: Number.MAX_VALUE,
    mend: 'Run the model on calibration text and give the mean of the squares of each input.',
  },
  inverseHessianDiagonal: {
    shape: ['columns'],
    least: Number.MIN_VALUE,
    greatest: Number.POSITIVE_INFINITY,
    mend: 'Run the model on calibration text, damp the Hessian of the inputs and give the diagonal of its inverse.',
  },
  approximation: {
    shape: ['rows', 'columns'],
    least: -Number.MAX_VALUE,
    greatest: Number.MAX_VALUE,
    mend: 'Quantize the matrix once without salient weights and give what its codes stand for.',
  },
  fisher: {
    shape: ['rows', 'columns'],
    least: 0,
    greatest: Number.MAX_VALUE,
    mend: 'Give the mean of the squared gradients of each weight on calibration text.',
  },
  rowSensitivity: {
    shape: ['rows'],
    least: 0,
    greatest: Number.MAX_VALUE,
    mend: 'Give the mean of the squared gradients of each output on calibration text.',
  },
};

/**
 * The statistics that a score needs. Throws InvalidArgumentError, which names the score, the statistic and how to get
 * it, where one is missing, has the wrong size or holds a number that it cannot hold.
 */
export function requireStatistics<Names extends StatisticName>(
  score: { readonly name: string; readonly needs: readonly Names[] },
  inputs: SaliencyInputs,
): KnownStatistics<Names> {
  const problem = (text: string, mend: string) =>
    new InvalidArgumentError(`saliency score "${score.name}": ${text}`, { tensor: inputs.tensor, mend });
  for (const name of score.needs) {
    const { shape, least, greatest, mend } = rules[name];
    const values = inputs[name];
    if (!values)
      throw problem(`needs ${name} [${shape.join(', ')}]`, `${mend} The score "magnitude" needs none.`);
    const size = shape.reduce((product, dimension) => product * inputs[dimension], 1);
    if (values.length !== size) {
      throw problem(
        `${name} has ${values.length} numbers, not ${size}`,
        `It has the shape [${shape.join(', ')}].`,
      );
    }
    for (let i = 0; i < size; i++) {
      const value = values[i]!;
      if (value >= least && value <= greatest) continue;
      throw problem(`${name} at index ${i} is ${value}, not ${rangeOf(rules[name])}`, mend);
    }
  }
  return inputs as SaliencyInputs & KnownStatistics<Names>;
}

function rangeOf({ least, greatest }: StatisticRule): string {
  const range = least < 0 ? '' : least === 0 ? ' of at least 0' : ' above 0';
  return `${greatest < Number.POSITIVE_INFINITY ? 'a finite number' : 'a number'}${range}`;
}
