import type { Kernels, Pointer } from '@lbs/kernels';
import type { ModelConfig } from '@lbs/model-loaders';
import type { KeyValueCache } from './attention-computation.js';
import { type BatchPart, BlockComputation } from './block-computation.js';
import type { DecoderWeights } from './decoder-weights.js';
import { applyLinear } from './linear-stage.js';
import { applyNorm } from './norm.js';
import { TokenEmbedding } from './token-embedding.js';

/** Logits that are computed at once: bounds their memory for large vocabularies. */
const logitRows = 32;

/** The computation of a decoder, on a KV cache of its own. */
export class ForwardPass {
  private readonly embedding: TokenEmbedding;
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
    this.embedding = new TokenEmbedding(config, kernels, weights);
    this.block = new BlockComputation(config, kernels, contextLength);
    this.caches = weights.layers.map(() => this.block.allocateCache());
    this.logits = kernels.allocate(4 * logitRows * config.vocabularySize);
  }

  /** Takes a batch through so many blocks; the keys and values of its parts go to the cache at their positions. */
  run(tokens: readonly number[], parts: readonly BatchPart[], blocks: number): void {
    this.embedding.run(tokens, parts, this.block.hidden);
    for (const [layer, weights] of this.weights.layers.slice(0, blocks).entries()) {
      this.block.run({ layer, weights, cache: this.caches[layer]!, tokens: tokens.length, parts });
    }
  }

  /** The hidden states [count, hiddenSize] of the last batch. */
  readHidden(count: number): Float32Array {
    return this.kernels.float32(this.block.hidden, count * this.config.hiddenSize);
  }

  /** Logits [count, vocabulary] of the last batch's tokens from `start` on. */
  readLogits(start: number, count: number): Float32Array {
    const { kernels, block, config } = this;
    const { hiddenSize, vocabularySize } = config;
    const logits = new Float32Array(count * vocabularySize);
    applyNorm(kernels, config, this.weights.finalNorm, {
      input: block.hidden + 4 * start * hiddenSize,
      output: block.normed,
      tokens: count,
      width: hiddenSize,
    });
    for (let row = 0; row < count; row += logitRows) {
      const rows = Math.min(logitRows, count - row);
      const length = rows * vocabularySize;
      applyLinear(kernels, this.weights.head, block.normed + 4 * row * hiddenSize, this.logits, rows);
      if (config.logitScale !== undefined) kernels.scale(this.logits, config.logitScale, length);
      if (config.logitSoftcap !== undefined) kernels.softcap(this.logits, config.logitSoftcap, length);
      logits.set(kernels.float32(this.logits, length), row * vocabularySize);
    }
    return logits;
  }
}
