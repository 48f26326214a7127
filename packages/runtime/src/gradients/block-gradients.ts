import { type Kernels, LinearAlgebra, type Pointer } from '@lbs/kernels';
import type { LinearLayer, ModelConfig } from '@lbs/model-loaders';
import type { BlockComputation } from '../decoder/block-computation.js';
import type { LayerWeights, LinearWeights } from '../decoder/decoder-weights.js';
import { applyLinear } from '../decoder/linear-stage.js';
import { applyNorm, type NormWeights } from '../decoder/norm.js';
import type { RotaryTables } from '../decoder/rotary-embedding.js';
import { AttentionGradients, type AttentionOperands } from './attention-gradients.js';
import { addNormGradient } from './norm-gradient.js';

/** Takes the gradient [tokens, rows] of a linear layer's outputs; the array is valid during the call only. */
export type GradientConsumer = (linear: LinearLayer, gradient: Float32Array) => void;

/** One sequence at a block. Arrays are [tokens, hiddenSize]. */
export interface BlockGradientStep {
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
  private readonly rotary: RotaryTables;
  /** The tables of the rotation back. */
  private readonly inverseRotary: RotaryTables;
  /** [tokens, hiddenSize]: the residual path before the block, and between attention and feed-forward layer. */
  private readonly input: Pointer;
  private readonly middle: Pointer;
  /** [tokens, hiddenSize] what a norm gives, later the gradient with respect to it. */
  private readonly normed: Pointer;
  /** [tokens, hiddenSize] gradient of the residual path. */
  private readonly residual: Pointer;
  private readonly operands: AttentionOperands;
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
    const rotary = computation.rotary.tables!;
    this.rotary = rotary;
    this.inverseRotary = { ...rotary, sines: arrayOf(headSize / 2) };
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
    this.attended = arrayOf(heads * headSize);
    this.gate = arrayOf(intermediateSize);
    this.up = arrayOf(intermediateSize);
    this.activation = arrayOf(intermediateSize);
    this.exponentials = kernels.allocate(4 * intermediateSize);
    const sines = kernels.float32(this.inverseRotary.sines, (tokens * headSize) / 2);
    sines.set(kernels.float32(rotary.sines, sines.length).map((sine) => -sine));
  }

  /** Takes the gradient of a sequence from behind a block to before it. */
  run({ weights, hidden, gradient, onGradient }: BlockGradientStep): void {
    const { config, kernels } = this;
    const tokens = hidden.length / config.hiddenSize;
    kernels.float32(this.input, hidden.length).set(hidden);
    kernels.float32(this.residual, gradient.length).set(gradient);
    this.computeAgain(weights, tokens);
    this.backThroughFeedForward(weights, tokens, onGradient);
    this.backThroughAttention(weights, tokens, onGradient);
    gradient.set(kernels.float32(this.residual, gradient.length));
  }

  private computeAgain(weights: LayerWeights, tokens: number): void {
    const { config, kernels, normed, middle, attended } = this;
    const { queries, keys, values } = this.operands;
    const { hiddenSize: width, heads, keyValueHeads, headSize } = config;
    const linear = (name: LinearLayer, input: Pointer, output: Pointer) =>
      applyLinear(kernels, this.weightsOf(weights, name), input, output, tokens);
    const norm = (name: 'attentionNorm' | 'feedForwardNorm', input: Pointer) =>
      applyNorm(kernels, config, weights.norms[name]!, { input, output: normed, tokens, width });
    const shape = { tokens, heads, kvHeads: keyValueHeads, headDim: headSize, start: 0 };
    norm('attentionNorm', this.input);
    linear('query', normed, queries);
    linear('key', normed, keys);
    linear('value', normed, values);
    kernels.rotate(queries, this.rotary.cosines, this.rotary.sines, shape);
    kernels.rotate(keys, this.rotary.cosines, this.rotary.sines, { ...shape, heads: keyValueHeads });
    kernels.attend(queries, keys, values, attended, shape);
    linear('attentionOutput', attended, middle);
    kernels.add(middle, this.input, tokens * width);
    norm('feedForwardNorm', middle);
    linear('gate', normed, this.gate);
    linear('up', normed, this.up);
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

  private backThroughFeedForward(weights: LayerWeights, tokens: number, onGradient: GradientConsumer): void {
    const { kernels, gate, up } = this;
    const { hiddenSize, intermediateSize } = this.config;
    const emit = (linear: LinearLayer, gradient: Pointer, width: number) =>
      onGradient(linear, kernels.float32(gradient, tokens * width));
    emit('down', this.residual, hiddenSize);
    this.multiplyTransposed(weights, 'down', { input: this.residual, output: this.activation, tokens });
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

  private backThroughAttention(weights: LayerWeights, tokens: number, onGradient: GradientConsumer): void {
    const { kernels, operands, operandGradients, inverseRotary } = this;
    const { hiddenSize, heads, keyValueHeads, headSize } = this.config;
    onGradient('attentionOutput', kernels.float32(this.residual, tokens * hiddenSize));
    this.multiplyTransposed(weights, 'attentionOutput', {
      input: this.residual,
      output: this.attended,
      tokens,
    });
    this.attention.run(this.attended, operands, operandGradients, tokens);
    const layers = [
      { linear: 'value', gradient: operandGradients.values, heads: keyValueHeads },
      { linear: 'key', gradient: operandGradients.keys, heads: keyValueHeads },
      { linear: 'query', gradient: operandGradients.queries, heads },
    ] as const;
    for (const [i, { linear, gradient, heads }] of layers.entries()) {
      if (linear !== 'value') {
        const shape = { tokens, heads, headDim: headSize, start: 0 };
        kernels.rotate(gradient, inverseRotary.cosines, inverseRotary.sines, shape);
      }
      onGradient(linear, kernels.float32(gradient, tokens * heads * headSize));
      const arrays = { input: gradient, output: this.normed, tokens };
      this.multiplyTransposed(weights, linear, arrays, i === 0 ? 'set' : 'add');
    }
    this.backThroughNorm(this.input, weights.norms.attentionNorm!, tokens);
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
