import type { Kernels, Pointer } from '@lbs/kernels';
import type { ModelConfig } from '@lbs/model-loaders';
import { BlockComputation, type KeyValueCache } from './block-computation.js';
import type { DecoderWeights } from './decoder-weights.js';

/** Logits that are computed at once: bounds their memory for large vocabularies. */
const logitRows = 32;

/** The computation of a decoder, on a KV cache of its own. */
export class ForwardPass {
  private readonly block: BlockComputation;
  private readonly caches: readonly KeyValueCache[];
  /** [logitRows, vocabularySize] */
  private readonly logits: Pointer;

  constructor(
    private readonly config: ModelConfig,
    private readonly kernels: Kernels,
    private readonly weights: DecoderWeights,
    contextLength: number,
  ) {
    this.block = new BlockComputation(config, kernels, contextLength);
    this.caches = weights.layers.map(() => this.block.allocateCache());
    this.logits = kernels.allocate(4 * logitRows * config.vocabularySize);
  }

  /** Takes a batch through all layers; its keys and values go to the cache at `position`. */
  run(tokens: readonly number[], position: number): void {
    this.kernels.gather(this.weights.embedding, tokens, this.block.hidden);
    for (const [i, weights] of this.weights.layers.entries()) {
      this.block.run({ weights, cache: this.caches[i]!, tokens: tokens.length, position });
    }
  }

  /** Logits [count, vocabulary] of the last batch's tokens from `start` on. */
  readLogits(start: number, count: number): Float32Array {
    const { kernels, block, config } = this;
    const { hiddenSize, vocabularySize } = config;
    const logits = new Float32Array(count * vocabularySize);
    const hidden = block.hidden + 4 * start * hiddenSize;
    kernels.rmsNorm(hidden, this.weights.finalNorm, block.normed, count, hiddenSize, config.normEpsilon);
    for (let row = 0; row < count; row += logitRows) {
      const rows = Math.min(logitRows, count - row);
      kernels.multiply(this.weights.head, block.normed + 4 * row * hiddenSize, this.logits, rows);
      logits.set(kernels.float32(this.logits, rows * vocabularySize), row * vocabularySize);
    }
    return logits;
  }
}
