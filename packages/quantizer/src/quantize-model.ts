import {
  createFormatRegistry,
  createRegistry,
  dequantize,
  matchesAny,
  NonFiniteWeightError,
  type NumberFormat,
  type QuantizationConfig,
  type QuantizedMatrix,
  type Registry,
  type StoredTensor,
  storeMatrix,
  TensorMismatchError,
} from '@lbs/format';
import { magnitude, type SaliencyScore, selectTopK } from '@lbs/topk-saliency';
import { copyTensor, type TensorReader } from './copy-tensor.js';
import type { Recipe, RecipeRule } from './recipe.js';
import { roundToNearest } from './round-to-nearest.js';
import type { Solver } from './solver.js';

/** Where the job reads a model from; what `@lbs/model-loaders` opens is one. */
export interface ModelWeights extends TensorReader {
  readonly name: string;
  readonly tensorNames: readonly string[];
}

/** What recipes can name. Extend the lists to use formats, solvers and scores of your own. */
export interface QuantizerParts {
  readonly formats: Registry<NumberFormat>;
  readonly solvers: Registry<Solver>;
  readonly scores: Registry<SaliencyScore>;
}

/** The parts that come with the toolkit. */
export const standardParts: QuantizerParts = {
  formats: createFormatRegistry(),
  solvers: createRegistry<Solver>('solver', [roundToNearest]),
  scores: createRegistry<SaliencyScore>('saliency score', [magnitude]),
};

/** One finished tensor. */
export interface QuantizationProgress {
  readonly tensor: string;
  /** Weights done so far and in all, of those to be quantized. */
  readonly weightsDone: number;
  readonly weightsTotal: number;
  /** Squared error over squared weights. */
  readonly relativeError: number;
}

/** Parts to choose from, cancelling and progress. */
export interface QuantizeModelOptions {
  readonly parts?: QuantizerParts;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: QuantizationProgress) => void;
}

/** A quantized model, ready to be written. */
export interface QuantizedModel {
  /** Tensors of a safetensors file: stored parts of quantized matrices, and what is copied. */
  readonly tensors: readonly StoredTensor[];
  readonly config: QuantizationConfig;
  /** Number of quantized matrices and of their weights. */
  readonly matrices: number;
  readonly quantizedWeights: number;
  /** Bytes of all stored parts of the quantized matrices: codes, shared bits, scales, salient weights, shapes. */
  readonly quantizedBytes: number;
  readonly bitsPerWeight: number;
}

/**
 * Quantizes a model by a recipe, one tensor at a time: in memory are the finished tensors and one tensor in
 * float32. Throws NonFiniteWeightError on a NaN or infinite weight, InvalidArgumentError where the recipe names
 * an unknown part, and the signal's reason when aborted.
 */
export async function quantizeModel(
  source: ModelWeights,
  recipe: Recipe,
  { parts = standardParts, signal, onProgress }: QuantizeModelOptions = {},
): Promise<QuantizedModel> {
  const rules = recipe.rules.map((rule) => new ResolvedRule(rule, parts));
  const isIgnored = matchesAny(recipe.ignore ?? []);
  const ruleOf = (tensor: string) => {
    const module = moduleOf(tensor);
    return module === undefined || isIgnored(module) ? undefined : rules.find((rule) => rule.matches(module));
  };
  const targets = source.tensorNames.filter(ruleOf);
  if (targets.length === 0) {
    throw new TensorMismatchError(`no tensor matches the targets of recipe "${recipe.name}"`, {
      file: source.name,
    });
  }
  const size = (name: string) => source.tensorInfo(name).shape.reduce((a, b) => a * b, 1);
  const weightsTotal = targets.reduce((sum, name) => sum + size(name), 0);
  const tensors: StoredTensor[] = [];
  let weightsDone = 0;
  let quantizedBytes = 0;
  for (const name of source.tensorNames) {
    signal?.throwIfAborted();
    const rule = ruleOf(name);
    if (!rule) {
      tensors.push(await copyTensor(source, name, signal));
      continue;
    }
    const weights = await source.readFloat32(name, { signal });
    const { matrix, relativeError } = quantizeMatrix(weights, name, source, rule);
    const stored = storeMatrix(moduleOf(name)!, matrix);
    tensors.push(...stored);
    quantizedBytes += stored.reduce((sum, tensor) => sum + tensor.bytes.length, 0);
    weightsDone += weights.length;
    onProgress?.({ tensor: name, weightsDone, weightsTotal, relativeError });
    // Long runs of computation would otherwise keep an abort from being seen.
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  return {
    tensors,
    config: {
      groups: rules.map(({ rule, format }) => ({ targets: rule.targets, format })),
      ignore: recipe.ignore ?? [],
      provenance: { recipe },
    },
    matrices: targets.length,
    quantizedWeights: weightsTotal,
    quantizedBytes,
    bitsPerWeight: (8 * quantizedBytes) / weightsTotal,
  };
}

class ResolvedRule {
  readonly format: NumberFormat;
  readonly solver: Solver;
  readonly score: SaliencyScore | undefined;
  readonly matches: (module: string) => boolean;

  constructor(
    readonly rule: RecipeRule,
    parts: QuantizerParts,
  ) {
    this.format = parts.formats.get(rule.format);
    this.solver = parts.solvers.get(rule.solver);
    this.score = rule.salient && parts.scores.get(rule.salient.score);
    this.matches = matchesAny(rule.targets);
  }
}

function moduleOf(tensor: string): string | undefined {
  return tensor.endsWith('.weight') ? tensor.slice(0, -'.weight'.length) : undefined;
}

function quantizeMatrix(
  weights: Float32Array,
  name: string,
  source: ModelWeights,
  { rule, format, solver, score }: ResolvedRule,
): { matrix: QuantizedMatrix; relativeError: number } {
  const { shape } = source.tensorInfo(name);
  const [rows, columns] = shape;
  if (shape.length !== 2 || !rows || !columns) {
    throw new TensorMismatchError(
      `only matrices can be quantized, and this tensor has shape [${shape.join(', ')}]`,
      {
        file: source.name,
        tensor: name,
        mend: 'Leave the module out of the targets of the recipe.',
      },
    );
  }
  const bad = weights.findIndex((weight) => !Number.isFinite(weight));
  if (bad >= 0) {
    throw new NonFiniteWeightError(
      `weight [${Math.floor(bad / columns)}, ${bad % columns}] is ${weights[bad]}`,
      {
        file: source.name,
        tensor: name,
        mend: 'The checkpoint is damaged or was saved after training diverged: use another one.',
      },
    );
  }
  const count = rule.salient ? Math.round(rule.salient.fraction * weights.length) : 0;
  const salient =
    score && count > 0 ? selectTopK(score.score(weights, { rows, columns, tensor: name }), count) : undefined;
  const matrix = solver.solve({ weights, rows, columns, format, ...(salient && { salient }) });
  return { matrix, relativeError: relativeSquaredError(weights, dequantize(matrix)) };
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
