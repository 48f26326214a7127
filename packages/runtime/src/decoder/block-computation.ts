import type { AttentionSums, Kernels, Pointer } from '@lbs/kernels';
import type { ModelConfig } from '@lbs/model-loaders';
import type { BlockNorm, LayerWeights, LinearLayer } from './decoder-weights.js';
import { createRotaryTables, type RotaryTables } from './rotary-embedding.js';

/** Tokens that go through a block together; bounds the working memory of a long prompt. */
export const batchTokens = 128;

/** Keys and values [contextLength, keyValueHeads, headSize] of one block. */
export interface KeyValueCache {
  readonly keys: Pointer;
  readonly values: Pointer;
}

/** Consecutive tokens of a sequence that go through a block together. */
export interface BlockBatch {
  readonly weights: LayerWeights;
  /** Holds the keys and values of all earlier positions; those of the batch are added. */
  readonly cache: KeyValueCache;
  /** At most `batchTokens`. */
  readonly tokens: number;
  /** Position of the first token. */
  readonly position: number;
  /** Where the attention that each position receives is added up. */
  readonly received?: AttentionSums | undefined;
}

/** Linear layers that read the same input, and what follows up to the next such input. */
export interface BlockStage {
  readonly linears: readonly LinearLayer[];
  /** Where their input [tokens, columns] lies. */
  readonly input: Pointer;
  readonly columns: number;
  /** What gives this input: feature j of it is proportional to row `rows[j]` of these weights, to an element of a norm's. */
  readonly producer: { readonly weights: LinearLayer | BlockNorm; readonly rows: Uint32Array };
  /** Whether its outputs are added to the residual path. */
  readonly writesResidual: boolean;
  /** From this stage's input to that of the next one; from the last to the hidden states behind the block. */
  compute(batch: BlockBatch): void;
}

/** The computation of a decoder block, split where linear layers read their input, with working memory for one batch. */
export class BlockComputation {
  /** [batchTokens, hiddenSize] the residual path: before `begin` the block's input, after the last stage its output. */
  readonly hidden: Pointer;
  /** [batchTokens, hiddenSize] */
  readonly normed: Pointer;
  readonly rotary: RotaryTables;
  /** In the order of computation. */
  readonly stages: readonly BlockStage[];

  constructor(
    private readonly config: ModelConfig,
    private readonly kernels: Kernels,
    private readonly contextLength: number,
  ) {
    const { hiddenSize, intermediateSize, heads, keyValueHeads, headSize } = config;
    const batchOf = (width: number) => kernels.allocate(4 * batchTokens * width);
    const queryWidth = heads * headSize;
    const keyWidth = keyValueHeads * headSize;
    this.rotary = createRotaryTables(kernels, config, contextLength);
    this.hidden = batchOf(hiddenSize);
    this.normed = batchOf(hiddenSize);
    const { normed, rotary } = this;
    const queries = batchOf(queryWidth);
    const attended = batchOf(queryWidth);
    const keys = batchOf(keyWidth);
    const values = batchOf(keyWidth);
    const gate = batchOf(intermediateSize);
    const up = batchOf(intermediateSize);
    const each = (count: number) => Uint32Array.from({ length: count }, (_, i) => i);
    // A head of values serves several heads of queries.
    const valueRows = each(queryWidth).map(
      (i) => Math.floor(i / headSize / (heads / keyValueHeads)) * headSize + (i % headSize),
    );
    this.stages = [
      {
        linears: ['query', 'key', 'value'],
        input: normed,
        columns: hiddenSize,
        producer: { weights: 'attentionNorm', rows: each(hiddenSize) },
        writesResidual: false,
        compute({ weights, cache, tokens, position, received }) {
          kernels.multiply(weights.query, normed, queries, tokens);
          kernels.multiply(weights.key, normed, keys, tokens);
          kernels.multiply(weights.value, normed, values, tokens);
          const shape = { tokens, heads, kvHeads: keyValueHeads, headDim: headSize, start: position };
          kernels.rotate(queries, rotary.cosines, rotary.sines, shape);
          kernels.rotate(keys, rotary.cosines, rotary.sines, { ...shape, heads: keyValueHeads });
          kernels.store(keys, cache.keys, position, tokens, keyWidth);
          kernels.store(values, cache.values, position, tokens, keyWidth);
          kernels.attend(queries, cache.keys, cache.values, attended, { ...shape, received });
        },
      },
      {
        linears: ['attentionOutput'],
        input: attended,
        columns: queryWidth,
        producer: { weights: 'value', rows: valueRows },
        writesResidual: true,
        compute: ({ weights, tokens }) => {
          kernels.multiply(weights.attentionOutput, attended, normed, tokens);
          kernels.add(this.hidden, normed, tokens * hiddenSize);
          this.normalize(weights.feedForwardNorm, tokens);
        },
      },
      {
        linears: ['gate', 'up'],
        input: normed,
        columns: hiddenSize,
        producer: { weights: 'feedForwardNorm', rows: each(hiddenSize) },
        writesResidual: false,
        compute({ weights, tokens }) {
          kernels.multiply(weights.gate, normed, gate, tokens);
          kernels.multiply(weights.up, normed, up, tokens);
          kernels.swiGlu(gate, up, gate, tokens * intermediateSize);
        },
      },
      {
        linears: ['down'],
        input: gate,
        columns: intermediateSize,
        producer: { weights: 'up', rows: each(intermediateSize) },
        writesResidual: true,
        compute: ({ weights, tokens }) => {
          kernels.multiply(weights.down, gate, normed, tokens);
          kernels.add(this.hidden, normed, tokens * hiddenSize);
        },
      },
    ];
  }

  /** Memory for the keys and values of one block. */
  allocateCache(): KeyValueCache {
    const { keyValueHeads, headSize } = this.config;
    const bytes = 4 * this.contextLength * keyValueHeads * headSize;
    return { keys: this.kernels.allocate(bytes), values: this.kernels.allocate(bytes) };
  }

  /** From the hidden states to the input of the first stage. */
  begin({ weights, tokens }: BlockBatch): void {
    this.normalize(weights.attentionNorm, tokens);
  }

  /** Takes the hidden states through the whole block. */
  run(batch: BlockBatch): void {
    this.begin(batch);
    for (const stage of this.stages) stage.compute(batch);
  }

  private normalize(weight: Pointer, tokens: number): void {
    const { hiddenSize, normEpsilon } = this.config;
    this.kernels.rmsNorm(this.hidden, weight, this.normed, tokens, hiddenSize, normEpsilon);
  }
}
