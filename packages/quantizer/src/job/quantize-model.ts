import {
  InvalidArgumentError,
  type QuantizationConfig,
  type SafetensorsTensorSpec,
  type StoredTensor,
  safetensorsByteLength,
  storedModuleOf,
  storeMatrix,
} from '@lbs/format';
import { createKernels, type Kernels } from '@lbs/kernels';
import { allocateFormats, sensitivityOf } from '../allocation/allocate-formats.js';
import type {
  CalibrationBlock,
  CalibrationModel,
  CalibrationSequence,
} from '../calibration/calibration-model.js';
import type { CalibrationStreams } from '../calibration/measure-inputs.js';
import { moduleOf, QuantizationPlan, weightsOf } from '../recipe/quantization-plan.js';
import { defaultTokenWeighting, type Recipe } from '../recipe/recipe.js';
import { type QuantizerParts, ResolvedRule, standardParts } from '../recipe/resolved-rule.js';
import { fisherSensitivity } from '../sensitivity/fisher-sensitivity.js';
import type { ModelSensitivities } from '../sensitivity/sensitivity.js';
import { copyTensor } from '../source/copy-tensor.js';
import type { LazyTensor } from '../source/lazy-tensor.js';
import type { ModelWeights } from '../source/model-weights.js';
import { checkMatrix, type WeightTensor } from '../source/weight-tensor.js';
import { ScaledNorm } from '../transforms/scaled-norm.js';
import type { JobStorage, SequenceState } from './job-storage.js';
import { MemoryJobStorage } from './memory-job-storage.js';
import { ProgressTracker, type QuantizationProgress } from './quantization-progress.js';
import { type BlockTask, quantizeBlock } from './quantize-block.js';
import { type MatrixTask, quantizeMatrix } from './quantize-matrix.js';

/** What activations are measured on. */
export interface Calibration {
  readonly model: CalibrationModel;
  /** Tokens of each sequence. */
  readonly sequences: readonly (readonly number[])[];
}

/** Parts to choose from, calibration, storage, cancelling and progress. */
export interface QuantizeModelOptions {
  readonly parts?: QuantizerParts;
  /** Needed by recipes that measure activations; `needsCalibration` says which do. */
  readonly calibration?: Calibration | undefined;
  /** Default: kernels of its own on one thread. */
  readonly kernels?: Kernels | undefined;
  /** Where finished work goes, and where that of an earlier run of the same job is found. Default: in memory, for this run alone. */
  readonly storage?: JobStorage | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (progress: QuantizationProgress) => void;
}

/** A quantized model, ready to be written. */
export interface QuantizedModel {
  /**
   * Tensors of a safetensors file: stored parts of quantized matrices, and what is copied. Their bytes come from the job's storage and
   * from the source, which must stay open.
   */
  readonly tensors: readonly LazyTensor[];
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
  if (recipe.budget) return true;
  const rules = recipe.rules.map((rule) => new ResolvedRule(rule, parts));
  return rules.some((rule) => rule.needsStatistics || rule.needsGradients);
}

/**
 * Quantizes a model by a recipe and stores what is finished unit by unit: in memory are one tensor in float32, and where activations are
 * measured one decoder block and the hidden states of the calibration sequences. Blocks are calibrated in order, on what the quantized
 * layers before give. Units that the storage has are not computed again, and the result has the same bytes as without interruption.
 * Throws NonFiniteWeightError on a NaN or infinite weight, InvalidArgumentError where the recipe names an unknown part or lacks
 * its calibration, and the signal's reason when aborted; what was finished until then stays in the storage.
 */
export async function quantizeModel(
  source: ModelWeights,
  recipe: Recipe,
  options: QuantizeModelOptions = {},
): Promise<QuantizedModel> {
  const { parts = standardParts, signal } = options;
  const given = new QuantizationPlan(source, recipe, parts);
  const measures = recipe.budget !== undefined || given.needsStatistics || given.needsGradients;
  const calibration = measures ? options.calibration : undefined;
  if (measures && !calibration) {
    throw new InvalidArgumentError(
      `recipe "${recipe.name}" measures activations and needs a calibration text`,
      {
        mend: 'Give quantizeModel a calibration: a model that runs block by block and token sequences.',
      },
    );
  }
  const kernels = options.kernels ?? (await createKernels());
  const calibrated = given.needsStatistics ? calibration : undefined;
  const progress = new ProgressTracker(given.weights, calibrated?.model.blocks ?? 0, options.onProgress);
  const prepared = (share: number) => progress.tell({ stage: 'preparing', prepared: share });
  const halves = recipe.budget ? 2 : 1;
  const sensitivities =
    given.needsGradients && calibration
      ? await fisherSensitivity.measure({
          ...{ source, ...calibration, signal },
          onProgress: ({ done, total }) => prepared(done / total / halves),
        })
      : undefined;
  const isKnown = recipe.budget && sensitivityOf(recipe.budget) === fisherSensitivity.name;
  const allocated = calibration
    ? await allocateFormats(source, recipe, {
        ...{ ...calibration, parts, kernels, signal },
        sensitivities: isKnown ? sensitivities : undefined,
        onProgress: prepared,
      })
    : recipe;
  const plan = new QuantizationPlan(source, allocated, parts);
  const job = new QuantizationJob(source, allocated, plan, {
    ...{ parts, kernels, sensitivities, signal },
    storage: options.storage ?? new MemoryJobStorage(),
    progress,
  });
  const result = await job.run(calibrated);
  return { ...result, config: { ...result.config, provenance: { recipe } } };
}

/** A finished tensor: the unit of the storage that has its stored parts, or the tensor itself. */
interface FinishedTensor {
  readonly unit: string;
  readonly parts: readonly SafetensorsTensorSpec[];
}

interface JobContext {
  readonly parts: QuantizerParts;
  readonly kernels: Kernels;
  readonly sensitivities: ModelSensitivities | undefined;
  readonly storage: JobStorage;
  readonly signal: AbortSignal | undefined;
  readonly progress: ProgressTracker;
}

/** How long a job computes before others get a turn; a turn costs a millisecond or more. */
const workMilliseconds = 50;

const blockUnit = (index: number) => `block ${index}`;

/** One run of a job: what is finished, and how the rest is quantized. */
class QuantizationJob {
  private readonly finished = new Map<string, FinishedTensor>();
  private lastPause = performance.now();

  constructor(
    private readonly source: ModelWeights,
    private readonly recipe: Recipe,
    private readonly plan: QuantizationPlan,
    private readonly context: JobContext,
  ) {}

  async run(calibration: Calibration | undefined): Promise<QuantizedModel> {
    const { finished, states } = await this.findBlocks(calibration?.model.blocks ?? 0);
    await this.findTensors();
    if (this.finished.size > 0) {
      const weights = [...this.plan.targets.keys()]
        .filter((name) => this.finished.has(name))
        .reduce((sum, name) => sum + weightsOf(this.source, name), 0);
      this.context.progress.resumed({ weights, blocks: finished });
      this.context.progress.tell({ stage: 'resuming', block: calibration && finished });
    }
    if (calibration) await this.quantizeBlocks(calibration, finished, states);
    await this.quantizeTensors();
    return this.result();
  }

  /**
   * Finds the finished blocks, and the states behind the last of them. A block can begin only with the states behind the one before: where
   * those are lost, all blocks count as not finished.
   */
  private async findBlocks(
    blocks: number,
  ): Promise<{ readonly finished: number; readonly states?: readonly SequenceState[] | undefined }> {
    const { storage, signal } = this.context;
    const found: (readonly SafetensorsTensorSpec[])[] = [];
    for (let index = 0; index < blocks; index++) {
      signal?.throwIfAborted();
      const parts = await storage.find(blockUnit(index));
      if (!parts) break;
      found.push(parts);
    }
    if (found.length === 0) return { finished: 0 };
    const states = found.length < blocks ? await storage.loadStates(found.length - 1) : undefined;
    if (found.length < blocks && !states) return { finished: 0 };
    for (const [index, parts] of found.entries()) this.register(blockUnit(index), parts);
    return { finished: found.length, states };
  }

  /** Finds the finished tensors outside of the calibrated blocks. */
  private async findTensors(): Promise<void> {
    const { storage, signal } = this.context;
    for (const name of this.plan.targets.keys()) {
      if (this.finished.has(name)) continue;
      signal?.throwIfAborted();
      const parts = await storage.find(name);
      if (parts) this.register(name, parts);
    }
  }

  /** A unit has the stored parts of quantized matrices, and tensors that a transform changed, under their own names. */
  private register(unit: string, parts: readonly SafetensorsTensorSpec[]): void {
    const ofTensor = new Map<string, SafetensorsTensorSpec[]>();
    for (const { name, dtype, shape } of parts) {
      const module = storedModuleOf(name);
      const tensor = module === undefined ? name : `${module}.weight`;
      const members = ofTensor.get(tensor) ?? [];
      ofTensor.set(tensor, members);
      members.push({ name, dtype, shape });
    }
    for (const [tensor, members] of ofTensor) this.finished.set(tensor, { unit, parts: members });
  }

  private async commit(unit: string, tensors: readonly StoredTensor[]): Promise<void> {
    await this.context.storage.commit(unit, tensors);
    this.register(unit, tensors);
  }

  /** Quantizes the linear layers of the decoder blocks, on the activations that the quantized layers before them give. */
  private async quantizeBlocks(
    { model, sequences }: Calibration,
    first: number,
    states: readonly SequenceState[] | undefined,
  ): Promise<void> {
    if (first === model.blocks) return;
    const { kernels, storage, signal, progress } = this.context;
    const started = states ?? (await this.firstStates(model, sequences));
    const streams = {
      quantized: started.map(({ hidden }) => sequenceOf(hidden)),
      original: this.recipe.errorPropagation
        ? started.map(({ original }) => sequenceOf(original))
        : undefined,
    };
    const { by, greatest } = this.recipe.tokenWeighting ?? defaultTokenWeighting;
    const weighting = this.context.parts.weightings.get(by);
    for (let index = first; index < model.blocks; index++) {
      signal?.throwIfAborted();
      progress.beginBlock();
      const stored: StoredTensor[] = [];
      const task: BlockTask = {
        kernels,
        tokenWeights: (sequence, place) => weighting.weights(sequence, place, greatest),
        ruleOf: (module) => this.plan.targets.get(`${module}.weight`),
        readWeights: async (module) => {
          const tensor = await this.readMatrix(`${module}.weight`);
          checkMatrix(tensor);
          return tensor.values;
        },
        readNorm: (module) => ScaledNorm.read(this.source, `${module}.weight`, signal),
        pause: () => this.pause(),
        quantize: async (module, matrixTask) => {
          const { tensors, dequantized } = await this.quantize(`${module}.weight`, matrixTask, index);
          stored.push(...tensors);
          return dequantized;
        },
      };
      const block = await model.loadBlock(index, { signal });
      try {
        const observed = observe(block, () => progress.tell({ stage: 'measuring', block: index }));
        stored.push(...(await quantizeBlock(observed, streams, task)));
      } finally {
        block.release();
      }
      // The states first: a block that is finished has what the next one begins with.
      if (index + 1 < model.blocks) await storage.saveStates(index, statesOf(streams));
      await this.commit(blockUnit(index), stored);
      if (index > 0) await storage.removeStates(index - 1);
      progress.endBlock();
    }
  }

  private async firstStates(
    model: CalibrationModel,
    sequences: Calibration['sequences'],
  ): Promise<SequenceState[]> {
    const embedded = await model.embed(sequences, { signal: this.context.signal });
    return embedded.map((hidden) =>
      this.recipe.errorPropagation ? { hidden, original: hidden.slice() } : { hidden },
    );
  }

  /** Quantizes the targets that are left, without statistics. */
  private async quantizeTensors(): Promise<void> {
    for (const name of this.plan.targets.keys()) {
      if (this.finished.has(name)) continue;
      await this.commit(name, (await this.quantize(name)).tensors);
    }
  }

  private async readMatrix(name: string): Promise<WeightTensor> {
    const { signal } = this.context;
    signal?.throwIfAborted();
    const values = await this.source.readFloat32(name, { signal });
    return { name, shape: this.source.tensorInfo(name).shape, values, file: this.source.name };
  }

  /** Quantizes one matrix, of a block where that is given. */
  private async quantize(
    name: string,
    task: Pick<MatrixTask, 'statistics' | 'scaling'> = {},
    block?: number,
  ): Promise<{ readonly tensors: readonly StoredTensor[]; readonly dequantized: Float32Array }> {
    const { kernels, progress, sensitivities } = this.context;
    const { errorPropagation } = this.recipe;
    const sensitivity = sensitivities?.get(moduleOf(name)!)?.[0];
    const tensor = await this.readMatrix(name);
    const rule = this.plan.targets.get(name)!;
    const { matrix, dequantized, relativeError } = progress.solve(tensor.values.length, () =>
      quantizeMatrix(tensor, rule, { ...task, kernels, sensitivity, errorPropagation }),
    );
    progress.tell({ stage: 'quantizing', block, tensor: name, relativeError });
    await this.pause();
    return { tensors: storeMatrix(moduleOf(name)!, matrix), dequantized };
  }

  /** Puts together what is stored and what is copied, in the order of the source. */
  private result(): QuantizedModel {
    const { plan, source, recipe } = this;
    const { signal, storage } = this.context;
    let quantizedBytes = 0;
    const tensors = source.tensorNames.flatMap((name): readonly LazyTensor[] => {
      const finished = this.finished.get(name);
      if (!finished) return [copyTensor(source, name, { signal })];
      const { unit, parts } = finished;
      return parts.map((part) => {
        if (plan.targets.has(name)) quantizedBytes += safetensorsByteLength(part.dtype, part.shape)!;
        return { ...part, bytes: () => storage.read(unit, part.name) };
      });
    });
    return {
      tensors,
      config: {
        groups: plan.rules.map(({ rule, format }) => ({ targets: rule.targets, format })),
        ignore: recipe.ignore ?? [],
        provenance: {},
      },
      matrices: plan.targets.size,
      quantizedWeights: plan.weights,
      quantizedBytes,
      bitsPerWeight: (8 * quantizedBytes) / plan.weights,
    };
  }

  /** Long runs of computation would otherwise keep an abort from being seen. */
  private async pause(): Promise<void> {
    if (performance.now() - this.lastPause >= workMilliseconds) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      this.lastPause = performance.now();
    }
    this.context.signal?.throwIfAborted();
  }
}

function sequenceOf(hidden: Float32Array | undefined): CalibrationSequence {
  return { hidden: hidden!, input: new Float32Array() };
}

/** What the sequences are between two blocks. */
function statesOf({ quantized, original }: CalibrationStreams): SequenceState[] {
  return quantized.map(({ hidden }, i) =>
    original ? { hidden, original: original[i]!.hidden } : { hidden },
  );
}

/** The block, with a call after every sequence that it has computed. */
function observe(block: CalibrationBlock, onComputed: () => void): CalibrationBlock {
  return {
    stages: block.stages,
    begin(sequence) {
      block.begin(sequence);
      onComputed();
    },
    advance(stage, sequence) {
      block.advance(stage, sequence);
      onComputed();
    },
    attentionReceived: (sequence) => block.attentionReceived(sequence),
    replaceWeights: (module, weights) => block.replaceWeights(module, weights),
    release: () => block.release(),
  };
}
