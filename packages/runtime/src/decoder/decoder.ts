import { InvalidArgumentError } from '@lbs/format';
import { createKernels, type Kernels } from '@lbs/kernels';
import type { ModelConfig, ModelSource } from '@lbs/model-loaders';
import { batchTokens } from './batch.js';
import { planBranches } from './branches.js';
import { checkTokens, contextLengthOf } from './context.js';
import { type LoadOptions, loadWeights } from './decoder-weights.js';
import { eventLoopTurn } from './event-loop-turn.js';
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
   * Calls wait for those before them. Logits [tokens.length - first, vocabulary] at the positions from `first` on: row i predicts the token that
   * follows `tokens[first + i]`. Leading tokens that the cache still holds from the call before are not
   * computed again. Throws InvalidArgumentError on an empty list, on a token outside of the vocabulary, and
   * where the tokens do not fit the context.
   */
  logits(
    tokens: readonly number[],
    first: number,
    options?: { signal?: AbortSignal | undefined },
  ): Promise<Float32Array>;
  /** Leading tokens that the cache holds from the call before: `logits` computes none of those that lie before `first` again. */
  cachedTokens(tokens: readonly number[]): number;
  /**
   * Hidden states [tokens.length, hiddenSize] behind so many blocks: 0 gives the embeddings, `config.layers` what the final norm reads. Computed
   * from the first token on. Throws InvalidArgumentError as `logits` does, and for a number of blocks that the model has not.
   */
  hiddenStates(
    tokens: readonly number[],
    blocks: number,
    options?: { signal?: AbortSignal | undefined },
  ): Promise<Float32Array>;
  /**
   * For each continuation of a context its logits [continuation.length, vocabulary]: row i is what `logits` gives for the position before its token
   * i, to the bit. The context is computed once, and the continuations together. Throws InvalidArgumentError as `logits` does.
   */
  continuations(
    context: readonly number[],
    continuations: readonly (readonly number[])[],
    options?: { signal?: AbortSignal | undefined },
  ): Promise<Float32Array[]>;
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
  const { hiddenSize, vocabularySize } = config;
  let cached: number[] = [];
  const cachedTokens = (tokens: readonly number[]) => {
    let count = 0;
    while (count < Math.min(cached.length, tokens.length) && cached[count] === tokens[count]) count++;
    return count;
  };
  /** Takes tokens through the blocks, and shows each batch when its hidden states are there. */
  const advance = async (
    tokens: readonly number[],
    from: number,
    signal: AbortSignal | undefined,
    onBatch: (position: number, count: number) => void,
    blocks = config.layers,
  ) => {
    cached.length = from;
    for (let position = from; position < tokens.length; position += batchTokens) {
      await eventLoopTurn();
      signal?.throwIfAborted();
      const batch = tokens.slice(position, position + batchTokens);
      forward.run(batch, [{ tokens: batch.length, position }], blocks);
      if (blocks === config.layers) cached.push(...batch);
      onBatch(position, batch.length);
    }
  };
  // One at a time: a call that came between two batches of another would change the cache under it.
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(compute: () => Promise<T>): Promise<T> => {
    const result = last.then(compute);
    last = result.catch(() => undefined);
    return result;
  };
  return {
    config,
    contextLength,
    weightBytes: weights.bytes,
    close,
    clear() {
      cached = [];
    },
    cachedTokens,
    logits: (tokens, first, { signal } = {}) =>
      inTurn(async () => {
        if (!Number.isInteger(first) || first < 0 || first >= tokens.length) {
          throw new InvalidArgumentError(`first position ${first} is not within the ${tokens.length} tokens`);
        }
        checkTokens(tokens, config, contextLength);
        const logits = new Float32Array((tokens.length - first) * vocabularySize);
        await advance(tokens, Math.min(cachedTokens(tokens), first), signal, (position, count) => {
          const skipped = Math.max(first - position, 0);
          if (skipped >= count) return;
          const at = (position + skipped - first) * vocabularySize;
          logits.set(forward.readLogits(skipped, count - skipped), at);
        });
        return logits;
      }),
    continuations: (context, continuations, { signal } = {}) =>
      inTurn(async () => {
        if (context.length === 0) throw new InvalidArgumentError('the context has no tokens');
        for (const continuation of continuations)
          checkTokens([...context, ...continuation.slice(0, -1)], config, contextLength);
        const from = Math.min(cachedTokens(context), context.length - 1);
        cached.length = from;
        const branches = planBranches(context, from, continuations, batchTokens);
        const rows: Float32Array[] = [];
        for (const { tokens, parts, firstRow } of branches) {
          await eventLoopTurn();
          signal?.throwIfAborted();
          forward.run(tokens, parts, config.layers);
          if (firstRow === tokens.length) continue;
          const logits = forward.readLogits(firstRow, tokens.length - firstRow);
          for (let at = 0; at < logits.length; at += vocabularySize)
            rows.push(logits.subarray(at, at + vocabularySize));
        }
        cached = [...context];
        let next = 1;
        return continuations.map((continuation) => {
          const result = new Float32Array(continuation.length * vocabularySize);
          for (let i = 0; i < continuation.length; i++)
            result.set(rows[i === 0 ? 0 : next++]!, i * vocabularySize);
          return result;
        });
      }),
    hiddenStates: (tokens, blocks, { signal } = {}) =>
      inTurn(async () => {
        if (!Number.isInteger(blocks) || blocks < 0 || blocks > config.layers) {
          throw new InvalidArgumentError(`${blocks} blocks are not among the ${config.layers} of the model`);
        }
        checkTokens(tokens, config, contextLength);
        const states = new Float32Array(tokens.length * hiddenSize);
        await advance(
          tokens,
          0,
          signal,
          (position, count) => states.set(forward.readHidden(count), position * hiddenSize),
          blocks,
        );
        return states;
      }),
  };
}
