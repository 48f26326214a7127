import type { Kernels, Pointer } from '@lbs/kernels';
import type { ModelConfig } from '@lbs/model-loaders';

/** The weights of a norm, float32 [width] with all that is added to the stored ones; of a norm without them 1 and 0. */
export interface NormWeights {
  readonly weight: Pointer;
  /** Of LayerNorm alone. */
  readonly bias: Pointer | undefined;
}

/** output [tokens, width] = the norm of input; output may be the input. */
export function applyNorm(
  kernels: Kernels,
  config: Pick<ModelConfig, 'normEpsilon'>,
  { weight, bias }: NormWeights,
  rows: {
    readonly input: Pointer;
    readonly output: Pointer;
    readonly tokens: number;
    readonly width: number;
  },
): void {
  const { input, output, tokens, width } = rows;
  if (bias === undefined) kernels.rmsNorm(input, weight, output, tokens, width, config.normEpsilon);
  else kernels.layerNorm(input, { weight, bias }, output, tokens, width, config.normEpsilon);
}
