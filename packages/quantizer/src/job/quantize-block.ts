import type { Kernels } from '@lbs/kernels';
import type { CalibrationBlock, CalibrationSequence } from '../calibration/calibration-model.js';
import type { InputStatistics } from '../calibration/input-statistics.js';
import { measureInputs } from '../calibration/measure-inputs.js';
import type { TokenWeighting } from '../calibration/token-weighting.js';
import type { ResolvedRule } from '../recipe/resolved-rule.js';

/** How the linear layers of a block are quantized. */
export interface BlockTask {
  readonly kernels: Kernels;
  readonly weighting: TokenWeighting;
  /** The rule of a module; undefined where it stays as it is. */
  ruleOf(module: string): ResolvedRule | undefined;
  /** Quantizes one module; returns its dequantized weights [rows, columns]. */
  quantize(module: string, statistics: InputStatistics | undefined): Promise<Float32Array>;
}

/**
 * Quantizes the linear layers of a decoder block in the order in which they compute, each on the activations that the quantized layers before it
 * give. The sequences' hidden states are those before the block, and those behind the quantized block afterwards.
 */
export async function quantizeBlock(
  block: CalibrationBlock,
  sequences: readonly CalibrationSequence[],
  { kernels, weighting, ruleOf, quantize }: BlockTask,
): Promise<void> {
  for (const sequence of sequences) block.begin(sequence);
  for (const [i, stage] of block.stages.entries()) {
    const mark = kernels.mark();
    try {
      const measures = stage.modules.some((module) => ruleOf(module)?.needsStatistics);
      const statistics = measures ? measureInputs(kernels, stage, sequences, weighting) : undefined;
      for (const module of stage.modules) {
        const rule = ruleOf(module);
        if (!rule) continue;
        block.replaceWeights(module, await quantize(module, rule.needsStatistics ? statistics : undefined));
      }
    } finally {
      kernels.release(mark);
    }
    for (const sequence of sequences) block.advance(i, sequence);
  }
}
