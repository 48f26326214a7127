import type { Kernels } from '@lbs/kernels';
import type { CalibrationBlock, CalibrationSequence } from '../calibration/calibration-model.js';
import type { InputStatistics } from '../calibration/input-statistics.js';
import { type CalibrationStreams, measureInputs } from '../calibration/measure-inputs.js';
import type { ResolvedRule } from '../recipe/resolved-rule.js';

/** How the linear layers of a block are quantized. */
export interface BlockTask {
  readonly kernels: Kernels;
  /** [tokens] how much each token of a sequence counts; called when the block has begun with it. */
  tokenWeights(sequence: CalibrationSequence, block: CalibrationBlock): Float32Array;
  /** The rule of a module; undefined where it stays as it is. */
  ruleOf(module: string): ResolvedRule | undefined;
  /** Quantizes one module; returns its dequantized weights [rows, columns]. */
  quantize(module: string, statistics: InputStatistics | undefined): Promise<Float32Array>;
}

/**
 * Quantizes the linear layers of a decoder block in the order in which they compute, each on the activations that the quantized layers before it
 * give. The sequences' hidden states are those before the block, and those behind it afterwards: behind the quantized block and, in the
 * stream of the unquantized model, behind the block as it was.
 */
export async function quantizeBlock(
  block: CalibrationBlock,
  streams: CalibrationStreams,
  { kernels, tokenWeights, ruleOf, quantize }: BlockTask,
): Promise<void> {
  const { quantized, original = [] } = streams;
  for (const sequence of [...quantized, ...original]) block.begin(sequence);
  const weights = quantized.map((sequence) => tokenWeights(sequence, block));
  for (const [i, stage] of block.stages.entries()) {
    const mark = kernels.mark();
    try {
      const measures = stage.modules.some((module) => ruleOf(module)?.needsStatistics);
      const statistics = measures ? measureInputs(kernels, stage, streams, weights) : undefined;
      // The unquantized model goes on before the weights are replaced.
      for (const sequence of original) block.advance(i, sequence);
      for (const module of stage.modules) {
        const rule = ruleOf(module);
        if (!rule) continue;
        block.replaceWeights(module, await quantize(module, rule.needsStatistics ? statistics : undefined));
      }
    } finally {
      kernels.release(mark);
    }
    for (const sequence of quantized) block.advance(i, sequence);
  }
}
