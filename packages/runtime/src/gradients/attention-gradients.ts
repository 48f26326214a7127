import { type Kernels, LinearAlgebra, type Pointer } from '@lbs/kernels';
import type { ModelConfig } from '@lbs/model-loaders';

/** Queries whose scores are in memory together. */
const queryTile = 128;

/** Arrays of one sequence: queries [tokens, heads, headSize], keys and values [tokens, keyValueHeads, headSize]. */
export interface AttentionOperands {
  readonly queries: Pointer;
  readonly keys: Pointer;
  readonly values: Pointer;
}

/** Takes gradients back through the causal attention of a whole sequence, with working memory of its own. */
export class AttentionGradients {
  /** [queryTile, tokens] probabilities, and the gradient with respect to them, then to the scores. */
  private readonly probabilities: Pointer;
  private readonly scoreGradients: Pointer;
  /** [queryTile, tokens] slopes of the cap at each score; empty without a cap. */
  private readonly slopes: Float32Array;

  /** `tokens` is the length of the longest sequence. */
  constructor(
    private readonly config: ModelConfig,
    private readonly kernels: Kernels,
    tokens: number,
  ) {
    const bytes = 4 * Math.min(queryTile, tokens) * tokens;
    this.probabilities = kernels.allocate(bytes);
    this.scoreGradients = kernels.allocate(bytes);
    this.slopes = new Float32Array(config.attentionSoftcap === undefined ? 0 : bytes / 4);
  }

  /**
   * From the gradient with respect to what the heads put out [tokens, heads, headSize] to those with respect to their operands, which
   * are written to `gradients`. Query heads that share a key head add up in it. A token sees the last `window` positions; all where it is
   * undefined.
   */
  run(
    outputGradient: Pointer,
    operands: AttentionOperands,
    gradients: AttentionOperands,
    { tokens, window }: { readonly tokens: number; readonly window: number | undefined },
  ) {
    const { heads, keyValueHeads, headSize } = this.config;
    for (const pointer of [gradients.keys, gradients.values]) {
      this.kernels.float32(pointer, tokens * keyValueHeads * headSize).fill(0);
    }
    for (let head = 0; head < heads; head++) {
      for (let first = 0; first < tokens; first += queryTile) {
        const rows = Math.min(queryTile, tokens - first);
        this.runTile({ outputGradient, operands, gradients, head, first, rows, window });
      }
    }
  }

  /** The queries from `first` on, `rows` of them, of one head. */
  private runTile(tile: {
    readonly outputGradient: Pointer;
    readonly operands: AttentionOperands;
    readonly gradients: AttentionOperands;
    readonly head: number;
    readonly first: number;
    readonly rows: number;
    readonly window: number | undefined;
  }): void {
    const { operands, gradients, head, first, rows } = tile;
    const { heads, keyValueHeads, headSize } = this.config;
    const algebra = new LinearAlgebra(this.kernels);
    // The last of these queries sees that many positions.
    const seen = first + rows;
    const keyHead = Math.floor((head * keyValueHeads) / heads);
    const ofQueries = (pointer: Pointer) => ({
      pointer: pointer + 4 * headSize * (first * heads + head),
      stride: heads * headSize,
    });
    const ofKeys = (pointer: Pointer) => ({
      pointer: pointer + 4 * headSize * keyHead,
      stride: keyValueHeads * headSize,
    });
    const probabilities = { pointer: this.probabilities, stride: seen };
    const scoreGradients = { pointer: this.scoreGradients, stride: seen };
    const scores = { rows, columns: seen, depth: headSize };
    const keySums = { rows: seen, columns: headSize, depth: rows, update: 'add' } as const;

    algebra.multiply({
      ...scores,
      left: ofQueries(operands.queries),
      right: { ...ofKeys(operands.keys), transposed: true },
      output: probabilities,
    });
    this.normalizeScores(first, rows, tile.window);
    algebra.multiply({
      ...keySums,
      left: { ...probabilities, transposed: true },
      right: ofQueries(tile.outputGradient),
      output: ofKeys(gradients.values),
    });
    algebra.multiply({
      ...scores,
      left: ofQueries(tile.outputGradient),
      right: { ...ofKeys(operands.values), transposed: true },
      output: scoreGradients,
    });
    this.backThroughSoftmax(rows, seen);
    algebra.multiply({
      ...{ rows, columns: headSize, depth: seen },
      left: scoreGradients,
      right: ofKeys(operands.keys),
      output: ofQueries(gradients.queries),
    });
    algebra.multiply({
      ...keySums,
      left: { ...scoreGradients, transposed: true },
      right: ofQueries(operands.queries),
      output: ofKeys(gradients.keys),
    });
  }

  /** From products to capped scores; the slope of the cap at each, 1 less the square of its hyperbolic tangent, goes to `slopes`. */
  private capScores(length: number, cap: number): void {
    this.kernels.scale(this.probabilities, this.scale, length);
    this.kernels.softcap(this.probabilities, cap, length);
    const scores = this.kernels.float32(this.probabilities, length);
    for (let i = 0; i < length; i++) this.slopes[i] = 1 - (scores[i]! / cap) ** 2;
  }

  private get scale(): number {
    return this.config.attentionScale ?? 1 / Math.sqrt(this.config.headSize);
  }

  /** From products of queries and keys to probabilities: the causal softmax of those times the scale. */
  private normalizeScores(first: number, rows: number, window = Number.POSITIVE_INFINITY): void {
    const seen = first + rows;
    const cap = this.config.attentionSoftcap;
    if (cap !== undefined) this.capScores(rows * seen, cap);
    // Capped scores are scaled already.
    const factor = cap === undefined ? this.scale : 1;
    const tile = this.kernels.float32(this.probabilities, rows * seen);
    for (let row = 0; row < rows; row++) {
      const start = row * seen;
      const end = start + first + row + 1;
      const begin = Math.max(start, end - window);
      let greatest = Number.NEGATIVE_INFINITY;
      for (let i = begin; i < end; i++) greatest = Math.max(greatest, tile[i]!);
      for (let i = begin; i < end; i++) tile[i] = factor * (tile[i]! - greatest);
      tile.fill(Number.NEGATIVE_INFINITY, start, begin);
      tile.fill(Number.NEGATIVE_INFINITY, end, start + seen);
    }
    this.kernels.exponential(this.probabilities, tile.length);
    for (let row = 0; row < rows; row++) {
      const start = row * seen;
      const end = start + first + row + 1;
      let sum = 0;
      for (let i = start; i < end; i++) sum += tile[i]!;
      for (let i = start; i < end; i++) tile[i]! /= sum;
    }
  }

  /** Gradients with respect to products of queries and keys, in the place of those with respect to probabilities. */
  private backThroughSoftmax(rows: number, seen: number): void {
    const { scale } = this;
    const hasCap = this.config.attentionSoftcap !== undefined;
    const probabilities = this.kernels.float32(this.probabilities, rows * seen);
    const gradients = this.kernels.float32(this.scoreGradients, rows * seen);
    for (let start = 0; start < rows * seen; start += seen) {
      let mean = 0;
      for (let i = start; i < start + seen; i++) mean += probabilities[i]! * gradients[i]!;
      for (let i = start; i < start + seen; i++) {
        const slope = hasCap ? this.slopes[i]! : 1;
        gradients[i] = scale * slope * probabilities[i]! * (gradients[i]! - mean);
      }
    }
  }
}
