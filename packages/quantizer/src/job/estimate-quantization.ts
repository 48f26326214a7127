import { expectedBytes, expectedCopiedBytes } from '../recipe/expected-bytes.js';
import { QuantizationPlan, weightsOf } from '../recipe/quantization-plan.js';
import type { Recipe } from '../recipe/recipe.js';
import { type QuantizerParts, type ResolvedRule, standardParts } from '../recipe/resolved-rule.js';
import { mostGradientSequences } from '../sensitivity/fisher-sensitivity.js';
import type { ModelWeights } from '../source/model-weights.js';

/** The sizes of a calibration, as far as work and memory depend on them. */
export interface CalibrationSize {
  /** Number of decoder blocks. */
  readonly blocks: number;
  /** Tokens of each sequence. */
  readonly sequences: readonly number[];
  /** Values of a hidden state. */
  readonly width: number;
  /** Input features of each stage of a block, and the weights of the linear layers that read them. */
  readonly stages: readonly { readonly columns: number; readonly weights: number }[];
  /** Weights of the head, which is in memory as float32 while gradients are measured. */
  readonly headWeights: number;
}

/** What has to be computed, in units whose speed can be measured. */
export interface QuantizationWork {
  /** Weights to be quantized by each rule. */
  readonly solving: ReadonlyMap<ResolvedRule, number>;
  /** Multiplications of the matrix products that run the sequences, and measure their second moments and gradients. */
  readonly products: number;
  /** Sum of columns^3 over the Hessians that are factorized. */
  readonly factorizations: number;
}

/** What a job will give and take. */
export interface QuantizationEstimate {
  /** Matrices that are quantized, and their weights. */
  readonly matrices: number;
  readonly quantizedWeights: number;
  /** Bytes of their stored parts: the budget where there is one, otherwise exact but for the positions of salient weights, whose code has an expected length. */
  readonly quantizedBytes: number;
  /** Everything counted. */
  readonly bitsPerWeight: number;
  /** Bytes of the tensors that are copied. */
  readonly copiedBytes: number;
  /** Bytes of all tensors of the result, headers aside. */
  readonly outputBytes: number;
  /** Bytes that the job needs beyond those of the program, at its peak. */
  readonly memoryBytes: number;
  readonly work: QuantizationWork;
}

/** Parts to choose from, and the calibration of a recipe that measures activations. */
export interface EstimateOptions {
  readonly parts?: QuantizerParts;
  readonly calibration?: CalibrationSize | undefined;
}

/**
 * Tells what quantizing a model by a recipe will give and take; reads no weight. `secondsOf` turns the work into time. Throws as
 * `quantizeModel` where the recipe does not fit the model.
 */
export function estimateQuantization(
  source: ModelWeights,
  recipe: Recipe,
  { parts = standardParts, calibration }: EstimateOptions = {},
): QuantizationEstimate {
  const plan = new QuantizationPlan(source, recipe, parts);
  const solving = new Map<ResolvedRule, number>();
  let quantizedBytes = 0;
  for (const [name, rule] of plan.targets) {
    const [rows = 1, columns = 1] = source.tensorInfo(name).shape;
    quantizedBytes += expectedBytes(rule, rows, columns);
    solving.set(rule, (solving.get(rule) ?? 0) + rows * columns);
  }
  const { budget } = recipe;
  const copiedBytes = expectedCopiedBytes(source, plan);
  if (budget) {
    quantizedBytes =
      'bytes' in budget ? budget.bytes - copiedBytes : Math.floor((budget.bitsPerWeight * plan.weights) / 8);
  }
  const measured = plan.needsStatistics ? calibration : undefined;
  const streams = recipe.errorPropagation ? 2 : 1;
  const measuresGradients = budget !== undefined || plan.needsGradients;
  const { products, factorizations } = calibrationWork(measured, streams);
  const ofGradients = measuresGradients && calibration ? gradientProducts(calibration) : 0;
  return {
    matrices: plan.targets.size,
    quantizedWeights: plan.weights,
    quantizedBytes,
    bitsPerWeight: (8 * quantizedBytes) / plan.weights,
    copiedBytes,
    outputBytes: quantizedBytes + copiedBytes,
    memoryBytes: memoryBytes(source, plan, measured, { streams, gradients: measuresGradients }),
    work: { solving, products: products + ofGradients, factorizations },
  };
}

/** The work of a calibration with one stream of hidden states, or with the unquantized model's beside it. */
function calibrationWork(
  size: CalibrationSize | undefined,
  streams: 1 | 2,
): Omit<QuantizationWork, 'solving'> {
  if (!size) return { products: 0, factorizations: 0 };
  const { blocks, sequences, width, stages } = size;
  const tokens = sequences.reduce((sum, length) => sum + length, 0);
  const scores = sequences.reduce((sum, length) => sum + length ** 2, 0);
  let products = streams * scores * width;
  let factorizations = 0;
  for (const { columns, weights } of stages) {
    // Of the second moments half are computed, of those with the other stream all.
    const moments = streams === 1 ? columns ** 2 / 2 : (3 * columns ** 2) / 2;
    products += tokens * (streams * weights + moments);
    factorizations += columns ** 3;
  }
  return { products: blocks * products, factorizations: blocks * factorizations };
}

/**
 * Multiplications of the gradients: forward to the loss, forward again before each block is differentiated, back through it, and forward for the squares
 * of its inputs.
 */
function gradientProducts({ blocks, sequences, stages, headWeights }: CalibrationSize): number {
  const share = Math.min(1, mostGradientSequences / sequences.length);
  const tokens = share * sequences.reduce((sum, length) => sum + length, 0);
  const blockWeights = stages.reduce((sum, { weights }) => sum + weights, 0);
  return tokens * (4 * blocks * blockWeights + 2 * headWeights);
}

/**
 * The peak over the steps of a job. Quantizing a matrix has its weights five times as float32: as read, without its salient weights, in the kernels,
 * dequantized, and scores or codes of as many bytes. A calibrated block has its weights once more; its second moments are held three
 * times (summed, mirrored, factorized).
 */
function memoryBytes(
  source: ModelWeights,
  { targets }: QuantizationPlan,
  calibration: CalibrationSize | undefined,
  { streams, gradients }: { readonly streams: 1 | 2; readonly gradients: boolean },
): number {
  const float32 = 4;
  const largest = Math.max(...[...targets.keys()].map((name) => weightsOf(source, name)));
  const solving = 5 * float32 * largest;
  if (!calibration) return solving;
  const { sequences, width, stages, headWeights } = calibration;
  const tokens = sequences.reduce((sum, length) => sum + length, 0);
  const widest = Math.max(...stages.map(({ columns }) => columns));
  const blockWeights = stages.reduce((sum, { weights }) => sum + weights, 0);
  const activations = streams * tokens * (width + widest);
  const moments = (2 + streams) * widest ** 2;
  // While it is loaded, the head is there twice.
  const measuring = gradients ? 2 * float32 * headWeights : 0;
  return Math.max(measuring, float32 * (blockWeights + activations + moments) + solving);
}
