import {
  InvalidArgumentError,
  matchesAny,
  type QuantizationConfig,
  type StoredTensor,
  storeMatrix,
  TensorMismatchError,
} from '@lbs/format';
import { createKernels, type Kernels } from '@lbs/kernels';
import type { CalibrationModel, CalibrationSequence } from '../calibration/calibration-model.js';
import { firstPositionWeighting } from '../calibration/token-weighting.js';
import type { Recipe } from '../recipe/recipe.js';
import { type QuantizerParts, ResolvedRule, standardParts } from '../recipe/resolved-rule.js';
import { ScaledNorm } from '../transforms/scaled-norm.js';
import { copyTensor, type TensorReader } from './copy-tensor.js';
import { type BlockTask, quantizeBlock } from './quantize-block.js';
import { checkMatrix, type MatrixTask, quantizeMatrix, type WeightTensor } from './quantize-matrix.js';

/** Where the job reads a model from; what `@lbs/model-loaders` opens is one. */
export interface ModelWeights extends TensorReader {
  readonly name: string;
  readonly tensorNames: readonly string[];
}

/** What activations are measured on. */
export interface Calibration {
  readonly model: CalibrationModel;
  /** Tokens of each sequence. */
  readonly sequences: readonly (readonly number[])[];
}

/** One finished tensor. */
export interface QuantizationProgress {
  readonly tensor: string;
  /** Weights done so far and in all, of those to be quantized. */
  readonly weightsDone: number;
  readonly weightsTotal: number;
  /** Squared error over squared weights. */
  readonly relativeError: number;
}

/** Parts to choose from, calibration, cancelling and progress. */
export interface QuantizeModelOptions {
  readonly parts?: QuantizerParts;
  /** Needed by recipes that measure activations; `needsCalibration` says which do. */
  readonly calibration?: Calibration | undefined;
  /** Default: kernels of its own on one thread. */
  readonly kernels?: Kernels | undefined;
  readonly signal?: AbortSignal | undefined;
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

/** Whether a recipe measures activations, so that it needs a calibration text. */
export function needsCalibration(recipe: Recipe, parts: QuantizerParts = standardParts): boolean {
  return recipe.rules.some((rule) => new ResolvedRule(rule, parts).needsStatistics);
}

/**
 * Quantizes a model by a recipe, one tensor at a time: in memory are the finished tensors, one tensor in float32, and where activations are
 * measured one decoder block and the hidden states of the calibration sequences. Blocks are calibrated in order, on what the quantized layers before
 * give. Throws NonFiniteWeightError on a NaN or infinite weight, InvalidArgumentError where the recipe names an unknown part or lacks
 * its calibration, and the signal's reason when aborted.
 */
export async function quantizeModel(
  source: ModelWeights,
  recipe: Recipe,
  options: QuantizeModelOptions = {},
): Promise<QuantizedModel> {
  const { parts = standardParts, calibration, signal } = options;
  const kernels = options.kernels ?? (await createKernels());
  const job = new QuantizationJob(source, recipe, { ...options, parts, kernels });
  if (job.needsStatistics) {
    if (!calibration) {
      throw new InvalidArgumentError(
        `recipe "${recipe.name}" measures activations and needs a calibration text`,
        {
          mend: 'Give quantizeModel a calibration: a model that runs block by block and token sequences.',
        },
      );
    }
    await job.quantizeBlocks(calibration, signal);
  }
  return job.quantizeRest(signal);
}

/** Finished tensors of a model, and how the others are quantized. */
class QuantizationJob {
  private readonly rules: readonly ResolvedRule[];
  private readonly targets = new Map<string, ResolvedRule>();
  private readonly finished = new Map<string, readonly StoredTensor[]>();
  private readonly weightsTotal: number;
  private weightsDone = 0;

  constructor(
    private readonly source: ModelWeights,
    private readonly recipe: Recipe,
    private readonly options: QuantizeModelOptions & {
      readonly parts: QuantizerParts;
      readonly kernels: Kernels;
    },
  ) {
    this.rules = recipe.rules.map((rule) => new ResolvedRule(rule, options.parts));
    const isIgnored = matchesAny(recipe.ignore ?? []);
    for (const tensor of source.tensorNames) {
      const module = moduleOf(tensor);
      if (module === undefined || isIgnored(module)) continue;
      const rule = this.rules.find(({ matches }) => matches(module));
      if (rule) this.targets.set(tensor, rule);
    }
    if (this.targets.size === 0) {
      throw new TensorMismatchError(`no tensor matches the targets of recipe "${recipe.name}"`, {
        file: source.name,
      });
    }
    const size = (name: string) => source.tensorInfo(name).shape.reduce((a, b) => a * b, 1);
    this.weightsTotal = [...this.targets.keys()].reduce((sum, name) => sum + size(name), 0);
  }

  get needsStatistics(): boolean {
    return [...this.targets.values()].some((rule) => rule.needsStatistics);
  }

  /** Quantizes the linear layers of the decoder blocks, on the activations that the quantized layers before them give. */
  async quantizeBlocks({ model, sequences }: Calibration, signal?: AbortSignal): Promise<void> {
    const task: BlockTask = {
      kernels: this.options.kernels,
      weighting: firstPositionWeighting(this.recipe.firstPositionWeight ?? 16),
      ruleOf: (module) => this.targets.get(`${module}.weight`),
      readWeights: async (module) => {
        const tensor = await this.readMatrix(`${module}.weight`);
        checkMatrix(tensor);
        return tensor.values;
      },
      readNorm: (module) => ScaledNorm.read(this.source, `${module}.weight`, signal),
      pause: () => this.pause(),
      quantize: (module, matrixTask) => this.quantize(`${module}.weight`, matrixTask),
    };
    const states = sequences.map(
      (tokens): CalibrationSequence => ({ hidden: model.embed(tokens), input: new Float32Array() }),
    );
    for (let index = 0; index < model.blocks; index++) {
      signal?.throwIfAborted();
      const block = await model.loadBlock(index, { signal });
      try {
        for (const norm of await quantizeBlock(block, states, task)) this.finished.set(norm.name, [norm]);
      } finally {
        block.release();
      }
    }
  }

  /** Quantizes what is left, copies what is no target, and puts everything together. */
  async quantizeRest(signal?: AbortSignal): Promise<QuantizedModel> {
    const tensors: StoredTensor[] = [];
    let quantizedBytes = 0;
    for (const name of this.source.tensorNames) {
      signal?.throwIfAborted();
      if (!this.targets.has(name)) {
        tensors.push(...(this.finished.get(name) ?? [await copyTensor(this.source, name, signal)]));
        continue;
      }
      if (!this.finished.has(name)) await this.quantize(name);
      const stored = this.finished.get(name)!;
      tensors.push(...stored);
      quantizedBytes += stored.reduce((sum, tensor) => sum + tensor.bytes.length, 0);
    }
    return {
      tensors,
      config: {
        groups: this.rules.map(({ rule, format }) => ({ targets: rule.targets, format })),
        ignore: this.recipe.ignore ?? [],
        provenance: { recipe: this.recipe },
      },
      matrices: this.targets.size,
      quantizedWeights: this.weightsTotal,
      quantizedBytes,
      bitsPerWeight: (8 * quantizedBytes) / this.weightsTotal,
    };
  }

  private async readMatrix(name: string): Promise<WeightTensor> {
    const { signal } = this.options;
    signal?.throwIfAborted();
    const values = await this.source.readFloat32(name, { signal });
    return { name, shape: this.source.tensorInfo(name).shape, values, file: this.source.name };
  }

  /** Quantizes one matrix; returns its dequantized weights. */
  private async quantize(name: string, task: Omit<MatrixTask, 'kernels'> = {}): Promise<Float32Array> {
    const { kernels, onProgress } = this.options;
    const tensor = await this.readMatrix(name);
    const { matrix, dequantized, relativeError } = quantizeMatrix(tensor, this.targets.get(name)!, {
      ...task,
      kernels,
    });
    this.finished.set(name, storeMatrix(moduleOf(name)!, matrix));
    this.weightsDone += tensor.values.length;
    onProgress?.({
      tensor: name,
      weightsDone: this.weightsDone,
      weightsTotal: this.weightsTotal,
      relativeError,
    });
    await this.pause();
    return dequantized;
  }

  /** Long runs of computation would otherwise keep an abort from being seen. */
  private async pause(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 0));
    this.options.signal?.throwIfAborted();
  }
}

function moduleOf(tensor: string): string | undefined {
  return tensor.endsWith('.weight') ? tensor.slice(0, -'.weight'.length) : undefined;
}
