import type { AttentionSums, Kernels, Pointer } from '@lbs/kernels';
import { type DecoderLayout, layoutOf, type ModelConfig } from '@lbs/model-loaders';
import { AttentionComputation, type KeyValueCache } from './attention-computation.js';
import { batchTokens } from './batch.js';
import type { LayerWeights } from './decoder-weights.js';
import { inputProducers } from './input-producers.js';
import { LinearStage } from './linear-stage.js';
import { applyNorm, type NormWeights } from './norm.js';
import { RotaryEmbedding } from './rotary-embedding.js';

/** Consecutive tokens of a batch that follow what the cache holds before `position`, and see nothing of the other parts behind it. */
export interface BatchPart {
  readonly tokens: number;
  /** Position of the first token. */
  readonly position: number;
}

/** Tokens that go through a block together. */
export interface BlockBatch {
  /** Index of the block. */
  readonly layer: number;
  readonly weights: LayerWeights;
  /** Holds the keys and values of all earlier positions; those of each part are added, in order. */
  readonly cache: KeyValueCache;
  /** At most `batchTokens`. */
  readonly tokens: number;
  /** The parts in the order of their tokens, each of which overwrites what the one before put into the cache at its positions and beyond. */
  readonly parts: readonly BatchPart[];
  /** Where the attention that each position receives is added up. */
  readonly received?: AttentionSums | undefined;
}

/** What gives a stage its input: feature j of it is proportional to row `rows[j]` of a module's weight, to an element of a norm's. */
export interface InputProducer {
  /** Within the block. */
  readonly module: string;
  readonly rows: Uint32Array;
}

/** Linear layers that read the same input, and what follows up to the next such input. */
export interface BlockStage {
  /** The matrices, by their modules within the block. */
  readonly modules: readonly string[];
  /** Where their input [tokens, columns] lies. */
  readonly input: Pointer;
  readonly columns: number;
  /** Missing where the input is not proportional to weights. */
  readonly producer: InputProducer | undefined;
  /** Whether its outputs are added to the residual path. */
  readonly writesResidual: boolean;
  /** From this stage's input to that of the next one; from the last to the hidden states behind the block. */
  compute(batch: BlockBatch): void;
}

/** The computation of a decoder block, split where linear layers read their input, with working memory for one batch. */
export class BlockComputation {
  readonly layout: DecoderLayout;
  /** [batchTokens, hiddenSize] the residual path: before `begin` the block's input, after the last stage its output. */
  readonly hidden: Pointer;
  /** [batchTokens, hiddenSize] */
  readonly normed: Pointer;
  readonly rotary: RotaryEmbedding;
  /** In the order of computation. */
  readonly stages: readonly BlockStage[];
  private readonly attention: AttentionComputation;
  /** [batchTokens, hiddenSize] what is to be added to the residual path. */
  private readonly branch: Pointer;

  constructor(
    private readonly config: ModelConfig,
    private readonly kernels: Kernels,
    contextLength: number,
  ) {
    const { hiddenSize, intermediateSize, heads, headSize, activation = 'silu' } = config;
    const layout = layoutOf(config);
    const batchOf = (width: number) => kernels.allocate(4 * batchTokens * width);
    const stageOf = (outputs: ConstructorParameters<typeof LinearStage>[3]) =>
      new LinearStage(config, kernels, layout, outputs);
    this.layout = layout;
    this.rotary = new RotaryEmbedding(config, kernels, contextLength);
    this.attention = new AttentionComputation(config, kernels, this.rotary, contextLength);
    this.hidden = batchOf(hiddenSize);
    this.normed = batchOf(hiddenSize);
    this.branch = batchOf(hiddenSize);
    const { normed, branch, attention } = this;
    const up = batchOf(intermediateSize);
    const gate = layout.linears.gate && batchOf(intermediateSize);
    const activated = gate ?? up;
    const inputs = stageOf({ query: attention.queries, key: attention.keys, value: attention.values });
    const attended = stageOf({ attentionOutput: branch });
    const widened = stageOf(gate === undefined ? { up } : { gate, up });
    const narrowed = stageOf({ down: branch });
    const producers = inputProducers(config, layout);
    const modulesOf = ({ matrices }: LinearStage) => matrices.map(({ module }) => module);
    this.stages = [
      {
        modules: modulesOf(inputs),
        input: normed,
        columns: hiddenSize,
        producer: producers.attentionInput,
        writesResidual: false,
        compute(batch) {
          inputs.run(batch.weights, normed, batch.tokens);
          attention.run(batch);
        },
      },
      {
        modules: modulesOf(attended),
        input: attention.attended,
        columns: heads * headSize,
        producer: producers.attentionOutputInput,
        writesResidual: true,
        compute: ({ weights, tokens }) => {
          attended.run(weights, attention.attended, tokens);
          this.scaleBranch(weights.norms.attentionPostNorm, tokens);
          const { feedForwardNorm, attentionNorm } = weights.norms;
          if (config.parallelResidual) this.normalize(feedForwardNorm ?? attentionNorm, tokens);
          kernels.add(this.hidden, branch, tokens * hiddenSize);
          if (!config.parallelResidual) this.normalize(feedForwardNorm, tokens);
        },
      },
      {
        modules: modulesOf(widened),
        input: normed,
        columns: hiddenSize,
        producer: producers.feedForwardInput,
        writesResidual: false,
        compute({ weights, tokens }) {
          widened.run(weights, normed, tokens);
          const length = tokens * intermediateSize;
          if (gate === undefined) kernels.activate(activation, { gate: up, output: up }, length);
          else if (activation === 'silu') kernels.swiGlu(gate, up, gate, length);
          else kernels.activate(activation, { gate, up, output: gate }, length);
        },
      },
      {
        modules: modulesOf(narrowed),
        input: activated,
        columns: intermediateSize,
        producer: producers.downInput,
        writesResidual: true,
        compute: ({ weights, tokens }) => {
          narrowed.run(weights, activated, tokens);
          this.scaleBranch(weights.norms.feedForwardPostNorm, tokens);
          kernels.add(this.hidden, branch, tokens * hiddenSize);
        },
      },
    ];
  }

  /** Memory for the keys and values of one block. */
  allocateCache(): KeyValueCache {
    return this.attention.allocateCache();
  }

  /** From the hidden states to the input of the first stage. */
  begin({ weights, tokens }: BlockBatch): void {
    this.normalize(weights.norms.attentionNorm, tokens);
  }

  /** Takes the hidden states through the whole block. */
  run(batch: BlockBatch): void {
    this.begin(batch);
    for (const stage of this.stages) stage.compute(batch);
  }

  /** From the hidden states to the input of a stage; without a norm it is the hidden states themselves. */
  private normalize(norm: NormWeights | undefined, tokens: number): void {
    const { hiddenSize: width } = this.config;
    if (norm) {
      applyNorm(this.kernels, this.config, norm, { input: this.hidden, output: this.normed, tokens, width });
    } else this.kernels.store(this.hidden, this.normed, 0, tokens, width);
  }

  /** What is done to the output of attention or feed-forward layer before it is added to the residual path. */
  private scaleBranch(norm: NormWeights | undefined, tokens: number): void {
    const { config, kernels, branch } = this;
    const { hiddenSize: width, residualScale } = config;
    if (norm) applyNorm(kernels, config, norm, { input: branch, output: branch, tokens, width });
    if (residualScale !== undefined) kernels.scale(branch, residualScale, tokens * width);
  }
}
