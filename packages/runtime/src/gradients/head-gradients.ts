import { type Kernels, LinearAlgebra, type Pointer } from '@lbs/kernels';
import type { ModelConfig } from '@lbs/model-loaders';
import type { LinearWeights } from '../decoder/decoder-weights.js';
import { applyLinear } from '../decoder/linear-stage.js';
import { applyNorm, type NormWeights } from '../decoder/norm.js';
import { addNormGradient } from './norm-gradient.js';

/** Tokens whose logits are in memory together. */
const tokenTile = 64;

/** The label of a position, whose probabilities [vocabulary] are given; undefined where it has no loss. */
export type LabelChooser = (position: number, probabilities: Float32Array) => number | undefined;

/** Some positions at the head: what it reads [tokens, hiddenSize], and the gradient of the logits [tokens, vocabulary]. Valid during the call only. */
export type HeadConsumer = (input: Float32Array, gradient: Float32Array) => void;

/** What turns hidden states behind the last block into logits. */
export interface HeadWeights {
  readonly finalNorm: NormWeights;
  /** [vocabulary, hiddenSize] */
  readonly head: LinearWeights;
}

/** The gradient of the loss with respect to the hidden states behind the last block, with working memory for a tile of tokens. */
export class HeadGradients {
  private readonly algebra: LinearAlgebra;
  private readonly hidden: Pointer;
  /** [tokenTile, hiddenSize] what the norm gives, later the gradient with respect to it. */
  private readonly normed: Pointer;
  /** [tokenTile, vocabulary] logits, later the gradient with respect to them. */
  private readonly logits: Pointer;

  constructor(
    private readonly config: ModelConfig,
    private readonly kernels: Kernels,
  ) {
    const { hiddenSize, vocabularySize } = config;
    this.algebra = new LinearAlgebra(kernels);
    this.hidden = kernels.allocate(4 * tokenTile * hiddenSize);
    this.normed = kernels.allocate(4 * tokenTile * hiddenSize);
    this.logits = kernels.allocate(4 * tokenTile * vocabularySize);
  }

  /**
   * Gradient [tokens, hiddenSize] of the sum of -log p(label) over the positions of a sequence with respect to its hidden states
   * [tokens, hiddenSize]. What the head reads and the gradient of the logits are shown tile by tile.
   */
  run(
    { finalNorm, head }: HeadWeights,
    hidden: Float32Array,
    chooseLabel: LabelChooser,
    onGradient: HeadConsumer,
  ): Float32Array {
    const { kernels } = this;
    const { hiddenSize, vocabularySize, normEpsilon, logitScale } = this.config;
    const gradient = new Float32Array(hidden.length);
    const tokens = hidden.length / hiddenSize;
    for (let first = 0; first < tokens; first += tokenTile) {
      const rows = Math.min(tokenTile, tokens - first);
      const part = (values: Float32Array) => values.subarray(first * hiddenSize, (first + rows) * hiddenSize);
      kernels.float32(this.hidden, rows * hiddenSize).set(part(hidden));
      applyNorm(kernels, this.config, finalNorm, {
        input: this.hidden,
        output: this.normed,
        tokens: rows,
        width: hiddenSize,
      });
      applyLinear(kernels, head, this.normed, this.logits, rows);
      const scale = () => {
        if (logitScale !== undefined) kernels.scale(this.logits, logitScale, rows * vocabularySize);
      };
      scale();
      const slopes = this.cap(rows);
      this.backThroughLoss(rows, (row, probabilities) => chooseLabel(first + row, probabilities));
      const logits = kernels.float32(this.logits, rows * vocabularySize);
      if (slopes) for (let i = 0; i < logits.length; i++) logits[i]! *= slopes[i]!;
      scale();
      onGradient(
        kernels.float32(this.normed, rows * hiddenSize),
        kernels.float32(this.logits, rows * vocabularySize),
      );
      this.algebra.multiplyTransposed(head.matrix, { input: this.logits, output: this.normed, tokens: rows });
      addNormGradient(part(gradient), {
        input: part(hidden),
        weight: kernels.float32(finalNorm.weight, hiddenSize),
        gradient: kernels.float32(this.normed, rows * hiddenSize),
        epsilon: normEpsilon,
        isCentred: finalNorm.bias !== undefined,
      });
    }
    return gradient;
  }

  /** Caps the logits; returns the slope of the cap at each, 1 less the square of its hyperbolic tangent. */
  private cap(rows: number): Float32Array | undefined {
    const { vocabularySize, logitSoftcap: cap } = this.config;
    if (cap === undefined) return undefined;
    const length = rows * vocabularySize;
    this.kernels.softcap(this.logits, cap, length);
    return this.kernels.float32(this.logits, length).map((logit) => 1 - (logit / cap) ** 2);
  }

  /** The softmax less 1 at the label, in place of the logits. */
  private backThroughLoss(rows: number, chooseLabel: LabelChooser): void {
    const { vocabularySize } = this.config;
    const logits = this.kernels.float32(this.logits, rows * vocabularySize);
    for (let row = 0; row < rows; row++) {
      const values = logits.subarray(row * vocabularySize, (row + 1) * vocabularySize);
      let greatest = Number.NEGATIVE_INFINITY;
      for (let i = 0; i < vocabularySize; i++) greatest = Math.max(greatest, values[i]!);
      for (let i = 0; i < vocabularySize; i++) values[i]! -= greatest;
    }
    this.kernels.exponential(this.logits, logits.length);
    for (let row = 0; row < rows; row++) {
      const values = logits.subarray(row * vocabularySize, (row + 1) * vocabularySize);
      let sum = 0;
      for (let i = 0; i < vocabularySize; i++) sum += values[i]!;
      for (let i = 0; i < vocabularySize; i++) values[i]! /= sum;
      const label = chooseLabel(row, values);
      if (label === undefined) values.fill(0);
      else values[label]! -= 1;
    }
  }
}

/** Index drawn from probabilities that add up to about 1, by a number from [0, 1). */
export function drawIndex(probabilities: Float32Array, random: number): number {
  let rest = random;
  let last = 0;
  for (let i = 0; i < probabilities.length; i++) {
    const probability = probabilities[i]!;
    if (probability === 0) continue;
    rest -= probability;
    if (rest < 0) return i;
    last = i;
  }
  // Rounding can leave a crumb behind the last one.
  return last;
}
