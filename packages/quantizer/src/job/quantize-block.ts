import type { StoredTensor } from '@lbs/format';
import type { CalibrationBlock } from '../calibration/calibration-model.js';
import { type CalibrationStreams, measureInputs } from '../calibration/measure-inputs.js';
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
 * those behind it afterwards: behind the quantized block and, in the stream of the unquantized model, behind the block as it was. Returns the
 * norms that the transforms changed, as they are to be written.
 */
export async function quantizeBlock(
  block: CalibrationBlock,
  streams: CalibrationStreams,
  task: BlockTask,
): Promise<readonly StoredTensor[]> {
  const { kernels, tokenWeights, ruleOf, quantize, pause } = task;
  const { quantized, original = [] } = streams;
  const blockScaling = await transformBlock(block, quantized, task);
  for (const sequence of [...quantized, ...original]) block.begin(sequence);
  const weights = quantized.map((sequence) => tokenWeights(sequence, block));
  for (const [i, stage] of block.stages.entries()) {
    const mark = kernels.mark();
    try {
      const measures = stage.modules.some((module) => ruleOf(module)?.needsStatistics);
      const measured = measures ? measureInputs(kernels, stage, streams, weights) : undefined;
      // The unquantized model goes on before the weights are replaced.
      for (const sequence of original) {
        block.advance(i, sequence);
        await pause();
      }
      // The layers of a stage read one input, so that they have one scaling of it.
      const inputScales = blockScaling.of(stage.modules[0]!)?.columns;
      const statistics = inputScales ? measured?.dividedBy(inputScales) : measured;
      for (const module of stage.modules) {
        const rule = ruleOf(module);
        if (!rule) continue;
        const dequantized = await quantize(module, {
          statistics: rule.needsStatistics ? statistics : undefined,
          scaling: blockScaling.of(module),
        });
        block.replaceWeights(module, dequantized);
      }
    } finally {
      kernels.release(mark);
    }
    for (const sequence of quantized) {
      block.advance(i, sequence);
      await pause();
    }
  }
  return blockScaling.norms;
}
