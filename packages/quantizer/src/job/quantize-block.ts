import type { StoredTensor } from '@lbs/format';
import type { CalibrationBlock, CalibrationSequence } from '../calibration/calibration-model.js';
import { measureInputs } from '../calibration/measure-inputs.js';
import { type TransformTask, transformBlock } from '../transforms/transform-block.js';
import type { MatrixTask } from './quantize-matrix.js';

/** How the linear layers of a block are quantized. */
export interface BlockTask extends TransformTask {
  /** Quantizes one module; returns its dequantized weights [rows, columns], with the scaling taken back. */
  quantize(module: string, task: Pick<MatrixTask, 'statistics' | 'scaling'>): Promise<Float32Array>;
}

/**
 * Quantizes the linear layers of a decoder block: transforms are chosen on the block as it is, then the layers are quantized in the order in which
 * they compute, each on the activations that the quantized layers before it give. The sequences' hidden states are those before the block, and
 * those behind the quantized block afterwards. Returns the norms that the transforms changed, as they are to be written.
 */
export async function quantizeBlock(
  block: CalibrationBlock,
  sequences: readonly CalibrationSequence[],
  task: BlockTask,
): Promise<readonly StoredTensor[]> {
  const { kernels, weighting, ruleOf, quantize } = task;
  const blockScaling = await transformBlock(block, sequences, task);
  for (const sequence of sequences) block.begin(sequence);
  for (const [i, stage] of block.stages.entries()) {
    const mark = kernels.mark();
    try {
      const measures = stage.modules.some((module) => ruleOf(module)?.needsStatistics);
      const measured = measures ? measureInputs(kernels, stage, sequences, weighting) : undefined;
      // The layers of a stage read one input, so that they have one scaling of it.
      const inputScales = blockScaling.of(stage.modules[0]!)?.columns;
      const statistics = inputScales ? measured?.dividedBy(inputScales) : measured;
      for (const module of stage.modules) {
        const rule = ruleOf(module);
        if (!rule) continue;
        const scaling = blockScaling.of(module);
        const weights = await quantize(module, {
          statistics: rule.needsStatistics ? statistics : undefined,
          scaling,
        });
        block.replaceWeights(module, weights);
      }
    } finally {
      kernels.release(mark);
    }
    for (const sequence of sequences) block.advance(i, sequence);
  }
  return blockScaling.norms;
}
