import { InvalidArgumentError } from '@lbs/format';
import type { Kernels } from '@lbs/kernels';
import { createKernels } from '@lbs/kernels';
import type { ModelConfig, ModelSource } from '@lbs/model-loaders';
import { type DecoderWeights, type LayerWeights, type LoadOptions, loadWeights } from './decoder-weights.js';
import { createRotaryTables, type RotaryTables } from './rotary-embedding.js';

/** Tokens that go through the layers together; bounds the working memory of a long prompt. */
const batchTokens = 128;

/** Longest context that gets a cache unless the caller asks for more: a model may declare 128 Ki positions. */
const defaultContextLength = 2048;

export interface DecoderOptions extends LoadOptions {
  /** Positions of the KV cache. Default: what the model was trained for, at most 2048. */
  readonly contextLength?: number;
  /** Default: kernels with a memory of their own. */
  readonly kernels?: Kernels;
}

/** A causal transformer with one KV cache. */
export interface Decoder {
  readonly config: ModelConfig;
  /** Positions of the KV cache. */
  readonly contextLength: number;
  /** Bytes of the weights in memory. */
  readonly weightBytes: number;
  /**
   * Logits [tokens.length - first, vocabulary] at the positions from `first` on: row i predicts the token that
   * follows `tokens[first + i]`. Leading tokens that the cache still holds from the call before are not
   * computed again. Throws InvalidArgumentError on an empty list, on a token outside of the vocabulary, and
   * where the tokens do not fit the context.
   */
  logits(
    tokens: readonly number[],
    first: number,
    options?: { signal?: AbortSignal | undefined },
  ): Promise<Float32Array>;
  /** Forgets all tokens, so that the next call computes from the first position. */
  clear(): void;
}

/** Loads a model's weights and makes a decoder of them. */
export async function loadDecoder(model: ModelSource, options: DecoderOptions = {}): Promise<Decoder> {
  const { config } = model;
  const kernels = options.kernels ?? (await createKernels());
  const contextLength = options.contextLength ?? Math.min(config.contextLength, defaultContextLength);
  const weights = await loadWeights(model, kernels, options);
  const forward = new ForwardPass(config, kernels, weights, contextLength);
  let cached: number[] = [];
  return {
    config,
    contextLength,
    weightBytes: weights.bytes,
    clear() {
      cached = [];
    },
    async logits(tokens, first, { signal } = {}) {
      checkTokens(tokens, first, config, contextLength);
      let position = 0;
      while (position < Math.min(cached.length, first) && cached[position] === tokens[position]) position++;
      cached.length = position;
      const logits = new Float32Array((tokens.length - first) * config.vocabularySize);
      while (position < tokens.length) {
        signal?.throwIfAborted();
        const batch = tokens.slice(position, position + batchTokens);
        forward.run(batch, position);
        cached.push(...batch);
        const skipped = Math.max(first - position, 0);
        if (skipped < batch.length) {
          logits.set(
            forward.readLogits(skipped, batch.length - skipped),
            (position + skipped - first) * config.vocabularySize,
          );
        }
        position += batch.length;
        // Gives timers and abort signals their turn between batches.
        if (position < tokens.length) await new Promise((resolve) => setTimeout(resolve, 0));
      }
      return logits;
    },
  };
}

function checkTokens(
  tokens: readonly number[],
  first: number,
  config: ModelConfig,
  contextLength: number,
): void {
  if (!Number.isInteger(first) || first < 0 || first >= tokens.length) {
    throw new InvalidArgumentError(`first position ${first} is not within the ${tokens.length} tokens`);
  }
  if (tokens.length > contextLength) {
    throw new InvalidArgumentError(`${tokens.length} tokens do not fit the context of ${contextLength}`, {
      mend: `Shorten the text, or load the model with a contextLength of up to ${config.contextLength}.`,
    });
  }
  const bad = tokens.find((token) => !Number.isInteger(token) || token < 0 || token >= config.vocabularySize);
  if (bad !== undefined) {
    throw new InvalidArgumentError(`token ${bad} is outside of the vocabulary of ${config.vocabularySize}`);
  }
}

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

class ForwardPass {
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
