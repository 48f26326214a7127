import type { Kernels, Matrix, Pointer } from '@lbs/kernels';
import type { ModelConfig } from '@lbs/model-loaders';
import { batchTokens } from './batch.js';
import type { BatchPart } from './block-computation.js';

/** Brings tokens to their hidden states before the first block, with working memory for one batch. */
export class TokenEmbedding {
  /** [batchTokens, hiddenSize] rows of the learned positions. */
  private readonly positionRows: Pointer | undefined;

  constructor(
    private readonly config: ModelConfig,
    private readonly kernels: Kernels,
    private readonly weights: { readonly embedding: Matrix; readonly positions: Matrix | undefined },
  ) {
    this.positionRows = weights.positions && kernels.allocate(4 * batchTokens * config.hiddenSize);
  }

  /** output [tokens, hiddenSize] */
  run(tokens: readonly number[], parts: readonly BatchPart[], output: Pointer): void {
    const { kernels, config, weights, positionRows } = this;
    const length = tokens.length * config.hiddenSize;
    kernels.gather(weights.embedding, tokens, output);
    if (config.embeddingScale !== undefined) kernels.scale(output, config.embeddingScale, length);
    if (weights.positions === undefined || positionRows === undefined) return;
    const { positionOffset = 0 } = config;
    kernels.gather(
      weights.positions,
      parts.flatMap(({ tokens: count, position }) =>
        Array.from({ length: count }, (_, i) => position + positionOffset + i),
      ),
      positionRows,
    );
    kernels.add(output, positionRows, length);
  }
}
