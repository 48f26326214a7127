import type { StoredTensor } from '@lbs/format';
import type { Kernels } from '@lbs/kernels';
import type { CalibrationBlock, CalibrationSequence } from '../calibration/calibration-model.js';
import type { ResolvedRule } from '../recipe/resolved-rule.js';
import type { MatrixScaling } from './matrix-scaling.js';
import type { ScaledNorm } from './scaled-norm.js';
import type { ScalableStage, Transform } from './transform.js';

/** What the transforms of a block need. */
export interface TransformTask {
  readonly kernels: Kernels;
  /** [tokens] how much each token of a sequence counts; called when the block has begun with it. */
  tokenWeights(sequence: CalibrationSequence, block: CalibrationBlock): Float32Array;
  /** The rule of a module; undefined where it stays as it is. */
  ruleOf(module: string): ResolvedRule | undefined;
  /** [rows, columns] the weights of a module that has a rule. */
  readWeights(module: string): Promise<Float32Array>;
  /** A norm of the block. */
  readNorm(module: string): Promise<ScaledNorm>;
  /** As of `TransformInput`. */
  pause(): Promise<void>;
}

/** The scales of a block's inputs, and what took them back. */
export class BlockScaling {
  readonly #columns = new Map<string, Float32Array>();
  readonly #rows = new Map<string, Float32Array>();
  readonly #norms: StoredTensor[] = [];

  /** The norms that were divided by scales, as they are to be written. */
  get norms(): readonly StoredTensor[] {
    return this.#norms;
  }

  /** The scaling of a module's weights; undefined where they stay as they are. */
  of(module: string): MatrixScaling | undefined {
    const columns = this.#columns.get(module);
    const rows = this.#rows.get(module);
    return columns || rows ? { columns, rows } : undefined;
  }

  /** Scales the inputs of layers by what a norm, or the rows of another layer, are divided by. */
  add(stage: FoldableStage, scales: Float32Array): void {
    const columns = Float32Array.from(stage.rows, (row) => scales[row]!);
    for (const { module } of stage.layers) this.#columns.set(module, columns);
    if (stage.norm) this.#norms.push(stage.norm.dividedBy(scales));
    else this.#rows.set(stage.producer, scales);
  }
}

interface FoldableStage extends ScalableStage {
  readonly transform: Transform;
  /** The module that takes the scales back. */
  readonly producer: string;
  /** Where that is a norm. */
  readonly norm: ScaledNorm | undefined;
}

/**
 * Has the transforms of the recipe choose the scales of a block, whose layers are not quantized yet. A stage is scaled where one transform is in the
 * rules of all of its layers and where what gives its input can take the scales back: a norm that nothing else reads, or a layer that is quantized too.
 */
export async function transformBlock(
  block: CalibrationBlock,
  sequences: readonly CalibrationSequence[],
  task: TransformTask,
): Promise<BlockScaling> {
  const { kernels, tokenWeights, pause } = task;
  const foldable = await foldableStages(block, task);
  const scaling = new BlockScaling();
  for (const transform of new Set(foldable.map((stage) => stage.transform))) {
    const stages = foldable.filter((stage) => stage.transform === transform);
    const chosen = await transform.chooseScales({ kernels, block, sequences, tokenWeights, stages, pause });
    for (const stage of stages) {
      const scales = chosen.get(stage.index);
      if (scales) scaling.add(stage, scales);
    }
  }
  return scaling;
}

async function foldableStages(block: CalibrationBlock, task: TransformTask): Promise<FoldableStage[]> {
  const linears = new Set(block.stages.flatMap(({ modules }) => modules));
  const foldable: FoldableStage[] = [];
  for (const [index, { modules, producer }] of block.stages.entries()) {
    const rules = modules.map((module) => task.ruleOf(module));
    const transform = rules[0]?.transform;
    if (!producer || !transform || rules.some((rule) => rule?.transform !== transform)) continue;
    const readers = block.stages.filter((stage) => stage.producer?.module === producer.module);
    const isLinear = linears.has(producer.module);
    if (readers.length > 1 || (isLinear && !task.ruleOf(producer.module))) continue;
    const norm = isLinear ? undefined : await task.readNorm(producer.module);
    foldable.push({
      index,
      transform,
      rows: producer.rows,
      producer: producer.module,
      norm,
      realize: (scales) => norm?.realize(scales) ?? scales,
      layers: modules.map((module, i) => ({
        module,
        format: rules[i]!.format,
        readWeights: () => task.readWeights(module),
      })),
    });
  }
  return foldable;
}
