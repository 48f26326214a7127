import { InvalidArgumentError } from '@lbs/format';
import { createKernels, type Kernels } from '@lbs/kernels';
import type { ModelConfig, ModelSource } from '@lbs/model-loaders';
import { batchTokens } from './batch.js';
import { checkTokens, contextLengthOf } from './context.js';
import { type LoadOptions, loadWeights } from './decoder-weights.js';
import { ForwardPass } from './forward-pass.js';

/** What a decoder is loaded with. */
export interface DecoderOptions extends LoadOptions {
  /** Positions of the KV cache. Default: what the model was trained for, at most 2048. */
  readonly contextLength?: number;
  /** Default: kernels with a memory of their own. */
  readonly kernels?: Kernels;
  /** Threads of these kernels; default 1. Of no effect where `kernels` are given. */
  readonly threads?: number;
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
  /** Ends the threads that were started for it, not those of `kernels` that it was given. It cannot compute from then on. */
  close(): void;
}

/** Loads a model's weights and makes a decoder of them. */
export async function loadDecoder(model: ModelSource, options: DecoderOptions = {}): Promise<Decoder> {
  const { config } = model;
  const kernels = options.kernels ?? (await createKernels({ threads: options.threads ?? 1 }));
  const contextLength = contextLengthOf(config, options.contextLength);
  const close = () => {
    if (!options.kernels) kernels.close();
  };
  const load = async () => {
    const weights = await loadWeights(model, kernels, options);
    return { weights, forward: new ForwardPass(config, kernels, weights, contextLength) };
  };
  const { weights, forward } = await load().catch((error: unknown) => {
    close();
    throw error;
  });
  let cached: number[] = [];
  return {
    config,
    contextLength,
    weightBytes: weights.bytes,
    close,
    clear() {
      cached = [];
    },
    async logits(tokens, first, { signal } = {}) {
      if (!Number.isInteger(first) || first < 0 || first >= tokens.length) {
        throw new InvalidArgumentError(`first position ${first} is not within the ${tokens.length} tokens`);
      }
      checkTokens(tokens, config, contextLength);
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
