import type { Kernels } from '@lbs/kernels';
import type { ModelConfig } from '@lbs/model-loaders';
import type { DecoderWeights, LayerWeights } from './decoder-weights.js';
import { createRotaryTables, type RotaryTables } from './rotary-embedding.js';

/** Tokens that go through the layers together; bounds the working memory of a long prompt. */
export const batchTokens = 128;

/** Working memory for one batch, as pointers to float32. */
interface Scratch {
  readonly hidden: number;
  readonly normed: number;
  readonly queries: number;
  readonly attended: number;
  readonly keys: number;
  readonly values: number;
  readonly gate: number;
  readonly up: number;
  readonly logits: number;
}

/** Logits that are computed at once: bounds their memory for large vocabularies. */
const logitRows = 32;

/** The computation of a decoder, on a KV cache of its own. */
export class ForwardPass {
  private readonly rotary: RotaryTables;
  private readonly scratch: Scratch;
  /** Keys and values [contextLength, keyValueHeads, headSize] of each layer. */
  private readonly caches: readonly { keys: number; values: number }[];

  constructor(
    private readonly config: ModelConfig,
    private readonly kernels: Kernels,
    private readonly weights: DecoderWeights,
    contextLength: number,
  ) {
    const { hiddenSize, intermediateSize, heads, keyValueHeads, headSize, vocabularySize } = config;
    const floats = (count: number) => kernels.allocate(4 * count);
    const cacheSize = contextLength * keyValueHeads * headSize;
    this.caches = weights.layers.map(() => ({ keys: floats(cacheSize), values: floats(cacheSize) }));
    this.rotary = createRotaryTables(kernels, config, contextLength);
    this.scratch = {
      hidden: floats(batchTokens * hiddenSize),
      normed: floats(batchTokens * hiddenSize),
      queries: floats(batchTokens * heads * headSize),
      attended: floats(batchTokens * heads * headSize),
      keys: floats(batchTokens * keyValueHeads * headSize),
      values: floats(batchTokens * keyValueHeads * headSize),
      gate: floats(batchTokens * intermediateSize),
      up: floats(batchTokens * intermediateSize),
      logits: floats(logitRows * vocabularySize),
    };
  }

  /** Takes a batch through all layers; its keys and values go to the cache at `position`. */
  run(tokens: readonly number[], position: number): void {
    const { kernels, scratch } = this;
    kernels.gather(this.weights.embedding, tokens, scratch.hidden);
    for (const [i, layer] of this.weights.layers.entries()) {
      this.attention(layer, this.caches[i]!, tokens.length, position);
      this.feedForward(layer, tokens.length);
    }
  }

  /** Logits [count, vocabulary] of the last batch's tokens from `start` on. */
  readLogits(start: number, count: number): Float32Array {
    const { kernels, scratch, config } = this;
    const { hiddenSize, vocabularySize } = config;
    const logits = new Float32Array(count * vocabularySize);
    const hidden = scratch.hidden + 4 * start * hiddenSize;
    kernels.rmsNorm(hidden, this.weights.finalNorm, scratch.normed, count, hiddenSize, config.normEpsilon);
    for (let row = 0; row < count; row += logitRows) {
      const rows = Math.min(logitRows, count - row);
      kernels.multiply(this.weights.head, scratch.normed + 4 * row * hiddenSize, scratch.logits, rows);
      logits.set(kernels.float32(scratch.logits, rows * vocabularySize), row * vocabularySize);
    }
    return logits;
  }

  private attention(
    layer: LayerWeights,
    cache: { keys: number; values: number },
    tokens: number,
    position: number,
  ): void {
    const { kernels, scratch, rotary } = this;
    const { hiddenSize, heads, keyValueHeads, headSize, normEpsilon } = this.config;
    kernels.rmsNorm(scratch.hidden, layer.attentionNorm, scratch.normed, tokens, hiddenSize, normEpsilon);
    kernels.multiply(layer.query, scratch.normed, scratch.queries, tokens);
    kernels.multiply(layer.key, scratch.normed, scratch.keys, tokens);
    kernels.multiply(layer.value, scratch.normed, scratch.values, tokens);
    const shape = { tokens, heads, kvHeads: keyValueHeads, headDim: headSize, start: position };
    kernels.rotate(scratch.queries, rotary.cosines, rotary.sines, shape);
    kernels.rotate(scratch.keys, rotary.cosines, rotary.sines, { ...shape, heads: keyValueHeads });
    const width = keyValueHeads * headSize;
    kernels.store(scratch.keys, cache.keys, position, tokens, width);
    kernels.store(scratch.values, cache.values, position, tokens, width);
    kernels.attend(scratch.queries, cache.keys, cache.values, scratch.attended, shape);
    kernels.multiply(layer.attentionOutput, scratch.attended, scratch.normed, tokens);
    kernels.add(scratch.hidden, scratch.normed, tokens * hiddenSize);
  }

  private feedForward(layer: LayerWeights, tokens: number): void {
    const { kernels, scratch } = this;
    const { hiddenSize, intermediateSize, normEpsilon } = this.config;
    kernels.rmsNorm(scratch.hidden, layer.feedForwardNorm, scratch.normed, tokens, hiddenSize, normEpsilon);
    kernels.multiply(layer.gate, scratch.normed, scratch.gate, tokens);
    kernels.multiply(layer.up, scratch.normed, scratch.up, tokens);
    kernels.swiGlu(scratch.gate, scratch.up, scratch.gate, tokens * intermediateSize);
    kernels.multiply(layer.down, scratch.gate, scratch.normed, tokens);
    kernels.add(scratch.hidden, scratch.normed, tokens * hiddenSize);
  }
}
