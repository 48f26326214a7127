import type { Kernels, Pointer } from '@lbs/kernels';
import { type ModelConfig, normWidth } from '@lbs/model-loaders';
import type { BlockComputation } from '../decoder/block-computation.js';
import type { LayerWeights } from '../decoder/decoder-weights.js';
import { LinearStage } from '../decoder/linear-stage.js';
import { applyNorm, type NormWeights } from '../decoder/norm.js';
import { type RotaryTables, windowOf } from '../decoder/rotary-embedding.js';
import { backThroughActivation } from './activation-gradients.js';
import { AttentionGradients, type AttentionOperands } from './attention-gradients.js';
import { type GradientConsumer, LinearStageGradients } from './linear-stage-gradients.js';
import { addNormGradient } from './norm-gradient.js';

/** One sequence at a block. Arrays are [tokens, hiddenSize]. */
export interface BlockGradientStep {
  /** Index of the block. */
  readonly layer: number;
  readonly weights: LayerWeights;
  /** Hidden states before the block. */
  readonly hidden: Float32Array;
  /** With respect to the hidden states behind the block; those before the block take its place. */
  readonly gradient: Float32Array;
  /** Called for each matrix, from the last to the first. */
  readonly onGradient: GradientConsumer;
}

/** Takes gradients back through decoder blocks, a sequence at a time. What the block computed is computed again from its input. */
export class BlockGradients {
  private readonly attention: AttentionGradients;
  /** Sines [tokens, size / 2] of the rotation back, by the tables of the rotation. */
  private readonly inverseSines = new Map<RotaryTables, Pointer>();
  /** [tokens, hiddenSize]: the residual path before the block, and between attention and feed-forward layer. */
  private readonly input: Pointer;
  private readonly middle: Pointer;
  /** [tokens, hiddenSize] what a norm gives, later the gradient with respect to it. */
  private readonly normed: Pointer;
  /** [tokens, hiddenSize] gradient of the residual path, and of what attention is added to. */
  private readonly residual: Pointer;
  private readonly behindAttention: Pointer;
  /** [tokens, hiddenSize] gradients with respect to what attention and feed-forward layer put out. */
  private readonly attentionBranch: Pointer;
  private readonly feedForwardBranch: Pointer;
  /** [tokens, hiddenSize] what they put out, where a norm reads it. */
  private readonly attentionOutput: Pointer;
  private readonly downOutput: Pointer;
  private readonly operands: AttentionOperands;
  /** What the norms of queries and keys read. */
  private readonly projected: Pick<AttentionOperands, 'queries' | 'keys'>;
  private readonly operandGradients: AttentionOperands;
  /** [tokens, heads, headSize] what the heads put out, later the gradient with respect to it. */
  private readonly attended: Pointer;
  /** [tokens, intermediateSize], later the gradients with respect to them. */
  private readonly gate: Pointer | undefined;
  private readonly up: Pointer;
  /** [tokens, intermediateSize] what `down` reads, later the gradient with respect to it. */
  private readonly activation: Pointer;
  /** [intermediateSize] */
  private readonly powers: Pointer;
  /** Of queries, keys and values, where they are clipped. */
  private clipSlopes: readonly Float32Array[] = [];
  private readonly forward: Readonly<Record<'inputs' | 'attended' | 'widened' | 'narrowed', LinearStage>>;
  private readonly back: Readonly<
    Record<'inputs' | 'attended' | 'widened' | 'narrowed', LinearStageGradients>
  >;

  /** `tokens` is the length of the longest sequence; the computation has as many positions. */
  constructor(
    private readonly config: ModelConfig,
    private readonly kernels: Kernels,
    private readonly computation: BlockComputation,
    tokens: number,
  ) {
    const { layout } = computation;
    const { hiddenSize, intermediateSize, heads, keyValueHeads, headSize } = config;
    const arrayOf = (width: number) => kernels.allocate(4 * tokens * width);
    this.attention = new AttentionGradients(config, kernels, tokens);
    this.input = arrayOf(hiddenSize);
    this.middle = arrayOf(hiddenSize);
    this.normed = arrayOf(hiddenSize);
    this.residual = arrayOf(hiddenSize);
    this.behindAttention = config.parallelResidual ? arrayOf(hiddenSize) : this.residual;
    const { attentionPostNorm, feedForwardPostNorm } = layout.norms;
    const isScaled = config.residualScale !== undefined;
    this.attentionBranch = attentionPostNorm || isScaled ? arrayOf(hiddenSize) : this.behindAttention;
    this.feedForwardBranch = feedForwardPostNorm || isScaled ? arrayOf(hiddenSize) : this.residual;
    this.attentionOutput = attentionPostNorm ? arrayOf(hiddenSize) : this.middle;
    this.downOutput = feedForwardPostNorm ? arrayOf(hiddenSize) : this.middle;
    const operands = () => ({
      queries: arrayOf(heads * headSize),
      keys: arrayOf(keyValueHeads * headSize),
      values: arrayOf(keyValueHeads * headSize),
    });
    this.operands = operands();
    this.operandGradients = operands();
    this.projected = {
      queries: layout.norms.queryNorm ? arrayOf(heads * headSize) : this.operands.queries,
      keys: layout.norms.keyNorm ? arrayOf(keyValueHeads * headSize) : this.operands.keys,
    };
    this.attended = arrayOf(heads * headSize);
    this.gate = layout.linears.gate && arrayOf(intermediateSize);
    this.up = arrayOf(intermediateSize);
    this.activation = arrayOf(intermediateSize);
    this.powers = kernels.allocate(4 * intermediateSize);
    const widened = this.gate === undefined ? { up: this.up } : { gate: this.gate, up: this.up };
    const forward = (outputs: ConstructorParameters<typeof LinearStage>[3]) =>
      new LinearStage(config, kernels, layout, outputs, tokens);
    this.forward = {
      inputs: forward({
        query: this.projected.queries,
        key: this.projected.keys,
        value: this.operands.values,
      }),
      attended: forward({ attentionOutput: this.attentionOutput }),
      widened: forward(widened),
      narrowed: forward({ down: this.downOutput }),
    };
    const back = (gradients: ConstructorParameters<typeof LinearStageGradients>[3]) =>
      new LinearStageGradients(config, kernels, layout, gradients, tokens);
    const { queries, keys, values } = this.operandGradients;
    this.back = {
      inputs: back({ value: values, key: keys, query: queries }),
      attended: back({ attentionOutput: this.attentionBranch }),
      widened: back(widened),
      narrowed: back({ down: this.feedForwardBranch }),
    };
    for (const tables of computation.rotary.all) {
      const length = (tokens * tables.size) / 2;
      const inverse = kernels.allocate(4 * length);
      const sines = kernels.float32(tables.sines, length).map((sine) => -sine);
      kernels.float32(inverse, length).set(sines);
      this.inverseSines.set(tables, inverse);
    }
  }

  /** Takes the gradient of a sequence from behind a block to before it. */
  run(step: BlockGradientStep): void {
    const { hidden, gradient } = step;
    const { config, kernels } = this;
    const tokens = hidden.length / config.hiddenSize;
    kernels.float32(this.input, hidden.length).set(hidden);
    kernels.float32(this.residual, gradient.length).set(gradient);
    kernels.float32(this.behindAttention, gradient.length).set(gradient);
    this.computeAgain(step, tokens);
    this.backThroughFeedForward(step, tokens);
    this.backThroughAttention(step, tokens);
    gradient.set(kernels.float32(this.residual, gradient.length));
  }

  /** What the feed-forward layer reads, and the norm before it. */
  private feedForwardInput({ norms }: LayerWeights): {
    readonly source: Pointer;
    readonly norm: NormWeights | undefined;
  } {
    if (!this.config.parallelResidual) return { source: this.middle, norm: norms.feedForwardNorm };
    return { source: this.input, norm: norms.feedForwardNorm ?? norms.attentionNorm };
  }

  private computeAgain({ layer, weights }: BlockGradientStep, tokens: number): void {
    const { config, kernels, normed, middle, attended, forward, gate, up } = this;
    const { queries, keys, values } = this.operands;
    const { hiddenSize, intermediateSize, heads, keyValueHeads, headSize, attentionClip } = config;
    this.normalize(this.input, weights.norms.attentionNorm, tokens);
    forward.inputs.run(weights, normed, tokens);
    if (attentionClip !== undefined) this.clip(attentionClip, tokens);
    for (const { name, input, output, heads } of this.normedOperands()) {
      const rows = this.rowsOf(name, tokens, heads);
      applyNorm(kernels, config, weights.norms[name]!, { input, output, ...rows });
    }
    const shape = { tokens, heads, kvHeads: keyValueHeads, headDim: headSize, start: 0 };
    const tables = this.computation.rotary.of(layer);
    if (tables) {
      const rotation = { ...shape, rotaryDim: tables.size };
      kernels.rotate(queries, tables.cosines, tables.sines, rotation);
      kernels.rotate(keys, tables.cosines, tables.sines, { ...rotation, heads: keyValueHeads });
    }
    kernels.attend(queries, keys, values, attended, {
      ...shape,
      scale: config.attentionScale,
      softcap: config.attentionSoftcap,
      window: windowOf(config, layer),
    });
    forward.attended.run(weights, attended, tokens);
    if (this.attentionOutput !== middle) {
      kernels.store(this.attentionOutput, middle, 0, tokens, hiddenSize);
    }
    const { attentionPostNorm } = weights.norms;
    const branch = { input: middle, output: middle, tokens, width: hiddenSize };
    if (attentionPostNorm) applyNorm(kernels, config, attentionPostNorm, branch);
    if (config.residualScale !== undefined) kernels.scale(middle, config.residualScale, tokens * hiddenSize);
    kernels.add(middle, this.input, tokens * hiddenSize);
    const { source, norm } = this.feedForwardInput(weights);
    this.normalize(source, norm, tokens);
    forward.widened.run(weights, normed, tokens);
    if (!weights.norms.feedForwardPostNorm) return;
    const operands =
      gate === undefined ? { gate: up, output: this.activation } : { gate, up, output: this.activation };
    kernels.activate(config.activation ?? 'silu', operands, tokens * intermediateSize);
    forward.narrowed.run(weights, this.activation, tokens);
  }

  /** Clips queries, keys and values, and keeps what slope each of them has: 0 where it was clipped. */
  private clip(limit: number, tokens: number): void {
    const { kernels, config, projected, operands } = this;
    const clipped = [
      [projected.queries, config.heads],
      [projected.keys, config.keyValueHeads],
      [operands.values, config.keyValueHeads],
    ] as const;
    this.clipSlopes = clipped.map(([pointer, heads]) => {
      const length = tokens * heads * config.headSize;
      const slopes = kernels.float32(pointer, length).map((value) => (Math.abs(value) > limit ? 0 : 1));
      kernels.clamp(pointer, limit, length);
      return slopes;
    });
  }

  /** `normed` from rows of the residual path; without a norm they are the same. */
  private normalize(input: Pointer, norm: NormWeights | undefined, tokens: number): void {
    const { kernels, config, normed } = this;
    const { hiddenSize: width } = config;
    if (norm) applyNorm(kernels, config, norm, { input, output: normed, tokens, width });
    else kernels.store(input, normed, 0, tokens, width);
  }

  /** The operands that have a norm, and what it reads and writes. */
  private normedOperands() {
    const { projected, operands, config } = this;
    const { norms } = this.computation.layout;
    return (
      [
        { name: 'queryNorm', input: projected.queries, output: operands.queries, heads: config.heads },
        { name: 'keyNorm', input: projected.keys, output: operands.keys, heads: config.keyValueHeads },
      ] as const
    ).filter(({ name }) => norms[name]);
  }

  /** What a norm of queries or keys normalizes: heads, or tokens. */
  private rowsOf(name: 'queryNorm' | 'keyNorm', tokens: number, heads: number) {
    const width = normWidth(this.config, this.computation.layout, name);
    return { width, tokens: (tokens * heads * this.config.headSize) / width };
  }

  /** From the gradient with respect to what a branch is added to, to that with respect to its output, in `branch`. */
  private backToBranch(
    behind: Pointer,
    branch: Pointer,
    {
      norm,
      output,
      tokens,
    }: { readonly norm: NormWeights | undefined; readonly output: Pointer; readonly tokens: number },
  ): void {
    if (branch === behind) return;
    const { kernels } = this;
    const { hiddenSize, residualScale } = this.config;
    kernels.store(behind, branch, 0, tokens, hiddenSize);
    if (residualScale !== undefined) kernels.scale(branch, residualScale, tokens * hiddenSize);
    if (norm) this.backThroughNorm(norm, output, branch, tokens * hiddenSize, hiddenSize);
  }

  private backThroughFeedForward({ weights, onGradient }: BlockGradientStep, tokens: number): void {
    const { config, kernels, normed } = this;
    const { source, norm } = this.feedForwardInput(weights);
    const output = { norm: weights.norms.feedForwardPostNorm, output: this.downOutput, tokens };
    this.backToBranch(this.residual, this.feedForwardBranch, output);
    this.back.narrowed.run(weights, this.activation, tokens, onGradient);
    backThroughActivation(kernels, config.activation ?? 'silu', {
      gate: this.gate,
      up: this.up,
      gradient: this.activation,
      tokens,
      width: config.intermediateSize,
      powers: this.powers,
    });
    this.back.widened.run(weights, normed, tokens, onGradient);
    this.addToResidual(norm, source, tokens);
  }

  private backThroughAttention({ layer, weights, onGradient }: BlockGradientStep, tokens: number): void {
    const { config, kernels, operands, operandGradients, normed } = this;
    const { heads, keyValueHeads, headSize } = config;
    const { attentionPostNorm, attentionNorm } = weights.norms;
    const output = { norm: attentionPostNorm, output: this.attentionOutput, tokens };
    this.backToBranch(this.behindAttention, this.attentionBranch, output);
    this.back.attended.run(weights, this.attended, tokens, onGradient);
    const window = windowOf(config, layer);
    this.attention.run(this.attended, operands, operandGradients, { tokens, window });
    const tables = this.computation.rotary.of(layer);
    const rotated = [
      { gradient: operandGradients.queries, heads },
      { gradient: operandGradients.keys, heads: keyValueHeads },
    ];
    for (const { gradient, heads } of tables ? rotated : []) {
      const shape = { tokens, heads, headDim: headSize, rotaryDim: tables!.size, start: 0 };
      kernels.rotate(gradient, tables!.cosines, this.inverseSines.get(tables!)!, shape);
    }
    for (const { name, input, heads } of this.normedOperands()) {
      const gradient = name === 'queryNorm' ? operandGradients.queries : operandGradients.keys;
      const { width } = this.rowsOf(name, tokens, heads);
      this.backThroughNorm(weights.norms[name]!, input, gradient, tokens * heads * headSize, width);
    }
    this.backThroughClip();
    this.back.inputs.run(weights, normed, tokens, onGradient);
    this.addToResidual(attentionNorm, this.input, tokens);
  }

  private backThroughClip(): void {
    const { queries, keys, values } = this.operandGradients;
    for (const [i, slopes] of this.clipSlopes.entries()) {
      const gradient = this.kernels.float32([queries, keys, values][i]!, slopes.length);
      for (let k = 0; k < slopes.length; k++) gradient[k]! *= slopes[k]!;
    }
  }

  /** From the gradient behind a norm of `input` to that before it, in its place. */
  private backThroughNorm(
    norm: NormWeights,
    input: Pointer,
    gradient: Pointer,
    length: number,
    width: number,
  ): void {
    const before = new Float32Array(length);
    this.addBehindNorm(before, norm, input, gradient, width);
    this.kernels.float32(gradient, length).set(before);
  }

  /** Adds to the residual path's gradient what came back, in `normed`, to the output of a norm of `source`. */
  private addToResidual(norm: NormWeights | undefined, source: Pointer, tokens: number): void {
    const { kernels, residual, normed } = this;
    const { hiddenSize } = this.config;
    const length = tokens * hiddenSize;
    if (!norm) kernels.add(residual, normed, length);
    else this.addBehindNorm(kernels.float32(residual, length), norm, source, normed, hiddenSize);
  }

  private addBehindNorm(
    target: Float32Array,
    { weight, bias }: NormWeights,
    input: Pointer,
    gradient: Pointer,
    width: number,
  ): void {
    const { kernels } = this;
    addNormGradient(target, {
      input: kernels.float32(input, target.length),
      weight: kernels.float32(weight, width),
      gradient: kernels.float32(gradient, target.length),
      epsilon: this.config.normEpsilon,
      isCentred: bias !== undefined,
    });
  }
}
