import type { Kernels, Pointer } from '@lbs/kernels';
import { layoutOf, type ModelConfig } from '@lbs/model-loaders';
import { batchTokens } from './batch.js';
import type { BlockBatch } from './block-computation.js';
import { applyNorm, type NormWeights } from './norm.js';
import { type RotaryEmbedding, windowOf } from './rotary-embedding.js';

/** Keys and values [contextLength, keyValueHeads, headSize] of one block. */
export interface KeyValueCache {
  readonly keys: Pointer;
  readonly values: Pointer;
}

/** Causal attention from queries, keys and values to what the heads put out, with working memory for one batch. */
export class AttentionComputation {
  /** [batchTokens, heads, headSize] */
  readonly queries: Pointer;
  /** [batchTokens, keyValueHeads, headSize] */
  readonly keys: Pointer;
  readonly values: Pointer;
  /** [batchTokens, heads, headSize] */
  readonly attended: Pointer;
  private readonly normsHeads: Readonly<Record<'queryNorm' | 'keyNorm', boolean>>;

  constructor(
    private readonly config: ModelConfig,
    private readonly kernels: Kernels,
    private readonly rotary: RotaryEmbedding,
    private readonly contextLength: number,
  ) {
    const { heads, keyValueHeads, headSize } = config;
    const batchOf = (count: number) => kernels.allocate(4 * batchTokens * count * headSize);
    this.queries = batchOf(heads);
    this.attended = batchOf(heads);
    this.keys = batchOf(keyValueHeads);
    this.values = batchOf(keyValueHeads);
    const { norms } = layoutOf(config);
    this.normsHeads = {
      queryNorm: norms.queryNorm?.perHead ?? false,
      keyNorm: norms.keyNorm?.perHead ?? false,
    };
  }

  /** Memory for the keys and values of one block. */
  allocateCache(): KeyValueCache {
    const { keyValueHeads, headSize } = this.config;
    const bytes = 4 * this.contextLength * keyValueHeads * headSize;
    return { keys: this.kernels.allocate(bytes), values: this.kernels.allocate(bytes) };
  }

  run({ layer, weights, cache, tokens, parts, received }: BlockBatch): void {
    const { config, kernels, queries, keys, values, attended } = this;
    const { heads, keyValueHeads, headSize, attentionClip, attentionScale, attentionSoftcap } = config;
    const keyWidth = keyValueHeads * headSize;
    if (attentionClip !== undefined) {
      kernels.clamp(queries, attentionClip, tokens * heads * headSize);
      for (const pointer of [keys, values]) kernels.clamp(pointer, attentionClip, tokens * keyWidth);
    }
    const { queryNorm, keyNorm } = weights.norms;
    this.normalize(queries, queryNorm, { tokens, heads, perHead: this.normsHeads.queryNorm });
    this.normalize(keys, keyNorm, { tokens, heads: keyValueHeads, perHead: this.normsHeads.keyNorm });
    const tables = this.rotary.of(layer);
    let row = 0;
    for (const { tokens: count, position: start } of parts) {
      const queryOffset = 4 * row * heads * headSize;
      const keyOffset = 4 * row * keyWidth;
      const shape = { tokens: count, heads, kvHeads: keyValueHeads, headDim: headSize, start };
      if (tables) {
        const rotation = { ...shape, rotaryDim: tables.size };
        kernels.rotate(queries + queryOffset, tables.cosines, tables.sines, rotation);
        kernels.rotate(keys + keyOffset, tables.cosines, tables.sines, { ...rotation, heads: keyValueHeads });
      }
      kernels.store(keys + keyOffset, cache.keys, start, count, keyWidth);
      kernels.store(values + keyOffset, cache.values, start, count, keyWidth);
      kernels.attend(queries + queryOffset, cache.keys, cache.values, attended + queryOffset, {
        ...shape,
        scale: attentionScale,
        softcap: attentionSoftcap,
        window: windowOf(config, layer),
        received,
      });
      row += count;
    }
  }

  private normalize(
    rows: Pointer,
    norm: NormWeights | undefined,
    {
      tokens,
      heads,
      perHead,
    }: { readonly tokens: number; readonly heads: number; readonly perHead: boolean },
  ): void {
    if (!norm) return;
    const { headSize } = this.config;
    applyNorm(this.kernels, this.config, norm, {
      input: rows,
      output: rows,
      tokens: perHead ? tokens * heads : tokens,
      width: perHead ? headSize : heads * headSize,
    });
  }
}
