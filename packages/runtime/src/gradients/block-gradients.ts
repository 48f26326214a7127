import { type Kernels, LinearAlgebra, type Pointer } from '@lbs/kernels';
import { type LinearLayer, type ModelConfig, normWidth } from '@lbs/model-loaders';
import type { BlockComputation } from '../decoder/block-computation.js';
import type { LayerWeights, LinearWeights } from '../decoder/decoder-weights.js';
import { applyLinear } from '../decoder/linear-stage.js';
import { applyNorm, type NormWeights } from '../decoder/norm.js';
import { type RotaryTables, windowOf } from '../decoder/rotary-embedding.js';
import { AttentionGradients, type AttentionOperands } from './attention-gradients.js';
import { addNormGradient } from './norm-gradient.js';

/** Takes the gradient [tokens, rows] of a linear layer's outputs; the array is valid during the call only. */
export type GradientConsumer = (linear: LinearLayer, gradient: Float32Array) => void;

/** One sequence at a block. Arrays are [tokens, hiddenSize]. */
export interface BlockGradientStep {
  /** Index of the block. */
  readonly layer: number;
  readonly weights: LayerWeights;
  /** Hidden states before the block. */
  readonly hidden: Float32Array;
  /** With respect to the hidden states behind the block; those before the block take its place. */
  readonly gradient: Float32Array;
  /** Called for each linear layer, from the last to the first. */
  readonly onGradient: GradientConsumer;
}

/**
 * Takes gradients back through decoder blocks, a sequence at a time. What the block computed is computed again from its input, except
 * for what `down` put out.
 */
export class BlockGradients {
  private readonly algebra: LinearAlgebra;
  private readonly attention: AttentionGradients;
  /** Pointer to the sines [tokens, size / 2] of the rotation back; undefined for a model that rotates nothing. */
  private readonly inverseSines: Pointer | undefined;
  /** [tokens, hiddenSize]: the residual path before the block, and between attention and feed-forward layer. */
  private readonly input: Pointer;
  private readonly middle: Pointer;
  /** [tokens, hiddenSize] what a norm gives, later the gradient with respect to it. */
  private readonly normed: Pointer;
  /** [tokens, hiddenSize] gradient of the residual path. */
  private readonly residual: Pointer;
  private readonly operands: AttentionOperands;
  /** What the norms of queries and keys read. */
  private readonly projected: Pick<AttentionOperands, 'queries' | 'keys'>;
  /** [tokens, hiddenSize] gradient with respect to what a branch puts out, where it is scaled. */
  private readonly branch: Pointer;
  private readonly operandGradients: AttentionOperands;
  /** [tokens, heads, headSize] what the heads put out, later the gradient with respect to it. */
  private readonly attended: Pointer;
  /** [tokens, intermediateSize], later the gradients with respect to them. */
  private readonly gate: Pointer;
  private readonly up: Pointer;
  /** [tokens, intermediateSize] gradient with respect to what `down` reads. */
  private readonly activation: Pointer;
  /** [intermediateSize] */
  private readonly exponentials: Pointer;

  /** `tokens` is the length of the longest sequence; the computation has as many positions. */
  constructor(
    private readonly config: ModelConfig,
    private readonly kernels: Kernels,
    private readonly computation: BlockComputation,
    tokens: number,
  ) {
    const { hiddenSize, intermediateSize, heads, keyValueHeads, headSize } = config;
    const arrayOf = (width: number) => kernels.allocate(4 * tokens * width);
    this.algebra = new LinearAlgebra(kernels);
    this.attention = new AttentionGradients(config, kernels, tokens);
    this.inverseSines = this.invert(computation.rotary.tables, tokens);
    this.input = arrayOf(hiddenSize);
    this.middle = arrayOf(hiddenSize);
    this.normed = arrayOf(hiddenSize);
    this.residual = arrayOf(hiddenSize);
    const operands = () => ({
      queries: arrayOf(heads * headSize),
      keys: arrayOf(keyValueHeads * headSize),
      values: arrayOf(keyValueHeads * headSize),
    });
    this.operands = operands();
    this.operandGradients = operands();
    const { queryNorm, keyNorm } = computation.layout.norms;
    this.projected = {
      queries: queryNorm ? arrayOf(heads * headSize) : this.operands.queries,
      keys: keyNorm ? arrayOf(keyValueHeads * headSize) : this.operands.keys,
    };
    this.branch = config.residualScale === undefined ? this.residual : arrayOf(hiddenSize);
    this.attended = arrayOf(heads * headSize);
    this.gate = arrayOf(intermediateSize);
    this.up = arrayOf(intermediateSize);
    this.activation = arrayOf(intermediateSize);
    this.exponentials = kernels.allocate(4 * intermediateSize);
  }

  private invert(tables: RotaryTables | undefined, tokens: number): Pointer | undefined {
    if (!tables) return undefined;
    const length = (tokens * tables.size) / 2;
    const inverse = this.kernels.allocate(4 * length);
    const sines = this.kernels.float32(tables.sines, length).map((sine) => -sine);
    this.kernels.float32(inverse, length).set(sines);
    return inverse;
  }

  /** Takes the gradient of a sequence from behind a block to before it. */
  run(step: BlockGradientStep): void {
    const { hidden, gradient } = step;
    const { config, kernels } = this;
    const tokens = hidden.length / config.hiddenSize;
    kernels.float32(this.input, hidden.length).set(hidden);
    kernels.float32(this.residual, gradient.length).set(gradient);
    this.computeAgain(step, tokens);
    this.backThroughFeedForward(step, tokens);
    this.backThroughAttention(step, tokens);
    gradient.set(kernels.float32(this.residual, gradient.length));
  }

  private computeAgain({ layer, weights }: BlockGradientStep, tokens: number): void {
    const { config, kernels, normed, middle, attended, projected } = this;
    const { queries, keys, values } = this.operands;
    const { hiddenSize: width, heads, keyValueHeads, headSize, attentionScale, residualScale } = config;
    const linear = (name: LinearLayer, input: Pointer, output: Pointer) =>
      applyLinear(kernels, this.weightsOf(weights, name), input, output, tokens);
    const norm = (name: 'attentionNorm' | 'feedForwardNorm', input: Pointer) =>
      applyNorm(kernels, config, weights.norms[name]!, { input, output: normed, tokens, width });
    const shape = { tokens, heads, kvHeads: keyValueHeads, headDim: headSize, start: 0 };
    norm('attentionNorm', this.input);
    linear('query', normed, projected.queries);
    linear('key', normed, projected.keys);
    linear('value', normed, values);
    for (const { name, input, output, heads } of this.normedOperands()) {
      const rows = this.rowsOf(name, tokens, heads);
      applyNorm(kernels, config, weights.norms[name]!, { input, output, ...rows });
    }
    const tables = this.computation.rotary.of(layer);
    if (tables) {
      const rotation = { ...shape, rotaryDim: tables.size };
      kernels.rotate(queries, tables.cosines, tables.sines, rotation);
      kernels.rotate(keys, tables.cosines, tables.sines, { ...rotation, heads: keyValueHeads });
    }
    const window = windowOf(config, layer);
    kernels.attend(queries, keys, values, attended, { ...shape, scale: attentionScale, window });
    linear('attentionOutput', attended, middle);
    if (residualScale !== undefined) kernels.scale(middle, residualScale, tokens * width);
    kernels.add(middle, this.input, tokens * width);
    norm('feedForwardNorm', middle);
    linear('gate', normed, this.gate);
    linear('up', normed, this.up);
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

  private weightsOf(weights: LayerWeights, linear: LinearLayer): LinearWeights {
    return weights.matrices.get(this.computation.layout.linears[linear]!.module)!;
  }

  private multiplyTransposed(
    weights: LayerWeights,
    linear: LinearLayer,
    arrays: { readonly input: Pointer; readonly output: Pointer; readonly tokens: number },
    update: 'set' | 'add' = 'set',
  ): void {
    const { matrix } = this.weightsOf(weights, linear);
    this.algebra.multiplyTransposed(matrix, { ...arrays, update });
  }

  /** The gradient with respect to what a branch puts out before it is scaled and added to the residual path. */
  private branchGradient(tokens: number): Pointer {
    const { kernels, residual, branch } = this;
    const { hiddenSize, residualScale } = this.config;
    if (residualScale === undefined) return residual;
    kernels.store(residual, branch, 0, tokens, hiddenSize);
    kernels.scale(branch, residualScale, tokens * hiddenSize);
    return branch;
  }

  private backThroughFeedForward({ weights, onGradient }: BlockGradientStep, tokens: number): void {
    const { kernels, gate, up } = this;
    const { hiddenSize, intermediateSize } = this.config;
    const emit = (linear: LinearLayer, gradient: Pointer, width: number) =>
      onGradient(linear, kernels.float32(gradient, tokens * width));
    const output = this.branchGradient(tokens);
    emit('down', output, hiddenSize);
    this.multiplyTransposed(weights, 'down', { input: output, output: this.activation, tokens });
    this.backThroughSwiGlu(tokens);
    emit('up', up, intermediateSize);
    emit('gate', gate, intermediateSize);
    this.multiplyTransposed(weights, 'gate', { input: gate, output: this.normed, tokens });
    this.multiplyTransposed(weights, 'up', { input: up, output: this.normed, tokens }, 'add');
    this.backThroughNorm(this.middle, weights.norms.feedForwardNorm!, tokens);
  }

  /** Of gate(g) = g / (1 + e^-g), with s = 1 / (1 + e^-g): gate'(g) = s * (1 + g * (1 - s)). */
  private backThroughSwiGlu(tokens: number): void {
    const { kernels } = this;
    const { intermediateSize } = this.config;
    const [gates, ups, gradients] = [this.gate, this.up, this.activation].map((pointer) =>
      kernels.float32(pointer, tokens * intermediateSize),
    ) as [Float32Array, Float32Array, Float32Array];
    const exponentials = kernels.float32(this.exponentials, intermediateSize);
    for (let start = 0; start < gates.length; start += intermediateSize) {
      for (let i = 0; i < intermediateSize; i++) exponentials[i] = -gates[start + i]!;
      kernels.exponential(this.exponentials, intermediateSize);
      for (let i = 0; i < intermediateSize; i++) {
        const gate = gates[start + i]!;
        const gradient = gradients[start + i]!;
        const sigmoid = 1 / (1 + exponentials[i]!);
        gates[start + i] = gradient * ups[start + i]! * sigmoid * (1 + gate * (1 - sigmoid));
        ups[start + i] = gradient * gate * sigmoid;
      }
    }
  }

  private backThroughAttention({ layer, weights, onGradient }: BlockGradientStep, tokens: number): void {
    const { config, kernels, operands, operandGradients } = this;
    const { hiddenSize, heads, keyValueHeads, headSize } = config;
    const output = this.branchGradient(tokens);
    onGradient('attentionOutput', kernels.float32(output, tokens * hiddenSize));
    this.multiplyTransposed(weights, 'attentionOutput', { input: output, output: this.attended, tokens });
    const window = windowOf(config, layer);
    this.attention.run(this.attended, operands, operandGradients, { tokens, window });
    const layers = [
      { linear: 'value', gradient: operandGradients.values, heads: keyValueHeads },
      { linear: 'key', gradient: operandGradients.keys, heads: keyValueHeads, norm: 'keyNorm' },
      { linear: 'query', gradient: operandGradients.queries, heads, norm: 'queryNorm' },
    ] as const;
    const tables = this.computation.rotary.of(layer);
    for (const [i, { linear, gradient, heads, ...others }] of layers.entries()) {
      if (linear !== 'value' && tables && this.inverseSines !== undefined) {
        const shape = { tokens, heads, headDim: headSize, rotaryDim: tables.size, start: 0 };
        kernels.rotate(gradient, tables.cosines, this.inverseSines, shape);
      }
      if ('norm' in others) this.backThroughOperandNorm(weights, others.norm, gradient, tokens);
      onGradient(linear, kernels.float32(gradient, tokens * heads * headSize));
      const arrays = { input: gradient, output: this.normed, tokens };
      this.multiplyTransposed(weights, linear, arrays, i === 0 ? 'set' : 'add');
    }
    this.backThroughNorm(this.input, weights.norms.attentionNorm!, tokens);
  }

  /** From the gradient behind a norm of queries or keys to that before it, in its place; without a norm they are the same. */
  private backThroughOperandNorm(
    weights: LayerWeights,
    name: 'queryNorm' | 'keyNorm',
    gradient: Pointer,
    tokens: number,
  ): void {
    const operand = this.normedOperands().find((normed) => normed.name === name);
    if (!operand) return;
    const { kernels, config } = this;
    const length = tokens * operand.heads * config.headSize;
    const before = new Float32Array(length);
    addNormGradient(before, {
      input: kernels.float32(operand.input, length),
      weight: kernels.float32(weights.norms[name]!.weight, this.rowsOf(name, tokens, operand.heads).width),
      gradient: kernels.float32(gradient, length),
      epsilon: config.normEpsilon,
    });
    kernels.float32(gradient, length).set(before);
  }

  /** Adds to the residual path's gradient what came back, in `normed`, to the output of a norm of `input`. */
  private backThroughNorm(input: Pointer, { weight }: NormWeights, tokens: number): void {
    const { kernels } = this;
    const { hiddenSize, normEpsilon } = this.config;
    const view = (pointer: Pointer) => kernels.float32(pointer, tokens * hiddenSize);
    addNormGradient(view(this.residual), {
      input: view(input),
      weight: kernels.float32(weight, hiddenSize),
      gradient: view(this.normed),
      epsilon: normEpsilon,
    });
  }
}
