import type { CalibrationBlock, CalibrationSequence } from '../calibration/calibration-model.js';
import { roundAtRange } from '../solvers/min-max.js';
import { scaleWeights, unscaleWeights } from './matrix-scaling.js';
import type { ScalableStage, Transform, TransformInput } from './transform.js';

/** Exponents that are tried: 0, 1/20, ..., 19/20. */
const exponents = Array.from({ length: 20 }, (_, i) => i / 20);
/** Least scale before they are normalised, which inputs that are never active have. */
const leastScale = 1e-4;
/** Every exponent runs half of the block on this many tokens, or on all where there are fewer. */
const mostTokens = 2048;

/**
 * Activation-aware weight quantization (AWQ, arXiv 2306.00978, section 3.2; constants of llm-awq): s_j = mean |x_j|^a / sqrt(max s min s), with the
 * exponent a for which the output of attention (of q, k, v), of the feed-forward network (of gate, up) or of the layer itself (o, down) has the
 * least squared error when the scaled weights are rounded at the range of their groups.
 *
 * All scales are searched on the block before any layer is quantized. Rows of values that several heads read (grouped-query attention) have
 * one scale, from the mean over the heads; the published implementation leaves them alone.
 */
export const awq: Transform = {
  name: 'awq',
  async chooseScales(input) {
    const { block, stages } = input;
    const chosen = new Map<number, Float32Array>();
    const sample = sampleOf(input);
    for (const index of block.stages.keys()) {
      const stage = stages.find((scalable) => scalable.index === index);
      if (stage) chosen.set(index, await searchScales(stage, sample, input));
      for (const { sequence } of sample) block.advance(index, sequence);
    }
    return chosen;
  },
};

/** A sequence on which scales are judged, and how much its tokens count. */
interface Sample {
  readonly sequence: CalibrationSequence;
  /** [tokens] */
  readonly weights: Float32Array;
}

/** Copies of sequences, spread over all of them, with the input of the first stage. */
function sampleOf({ sequences, block, tokenWeights }: TransformInput): Sample[] {
  const copyOf = ({ hidden, input }: CalibrationSequence) => {
    const copy = { hidden: hidden.slice(), input: input.slice() };
    block.begin(copy);
    return { sequence: copy, weights: tokenWeights(copy, block) };
  };
  const [first] = sequences;
  if (!first) return [];
  const tokens = copyOf(first).weights.length;
  const count = Math.min(Math.max(Math.floor(mostTokens / tokens), 1), sequences.length);
  return Array.from({ length: count }, (_, i) =>
    copyOf(sequences[Math.floor((i * sequences.length) / count)]!),
  );
}

/** The best scales of a stage, whose input the sequences hold. */
async function searchScales(
  stage: ScalableStage,
  sample: readonly Sample[],
  { block, kernels, pause }: TransformInput,
): Promise<Float32Array> {
  const { columns } = block.stages[stage.index]!;
  const layers = await Promise.all(
    stage.layers.map(async (layer) => ({ ...layer, weights: await layer.readWeights() })),
  );
  const { magnitudes, squares } = measureActivations(sample, columns);
  const inspected = new InspectedOutputs(block, stage.index, sample);
  let best = stage.realize(activationScales(stage, magnitudes, 0));
  let least = Number.POSITIVE_INFINITY;
  for (const exponent of exponents) {
    await pause();
    const scales = stage.realize(activationScales(stage, magnitudes, exponent));
    const scaling = { columns: Float32Array.from(stage.rows, (row) => scales[row]!) };
    const importance = Float32Array.from(squares, (square, j) => square / scaling.columns[j]! ** 2);
    for (const { module, format, weights } of layers) {
      const scaled = scaleWeights(weights, columns, scaling);
      const rows = weights.length / columns;
      const rounded = roundAtRange({ weights: scaled, rows, columns, format, kernels }, importance);
      block.replaceWeights(module, unscaleWeights(rounded, columns, scaling));
    }
    const error = inspected.squaredError();
    if (!(error < least)) continue;
    least = error;
    best = scales;
  }
  for (const { module, weights } of layers) block.replaceWeights(module, weights);
  return best;
}

/** [rows of the producer] mean |x|^exponent, normalised so that the product of the least and the greatest is 1. */
export function activationScales(
  { rows }: Pick<ScalableStage, 'rows'>,
  magnitudes: Float64Array,
  exponent: number,
): Float32Array {
  const count = rows.reduce((most, row) => Math.max(most, row + 1), 0);
  const sums = new Float64Array(count);
  const readers = new Uint32Array(count);
  for (const [j, row] of rows.entries()) {
    sums[row]! += magnitudes[j]!;
    readers[row]!++;
  }
  const mean = (row: number) => (readers[row] ? sums[row]! / readers[row] : 0);
  const scales = sums.map((_, row) => Math.max(mean(row) ** exponent, leastScale));
  const least = scales.reduce((a, b) => Math.min(a, b));
  const greatest = scales.reduce((a, b) => Math.max(a, b));
  return Float32Array.from(scales, (scale) => scale / Math.sqrt(least * greatest));
}

/** [columns] means of |x| and x^2 over the tokens, each counted as the weighting says. */
function measureActivations(
  sample: readonly Sample[],
  columns: number,
): { magnitudes: Float64Array; squares: Float64Array } {
  const magnitudes = new Float64Array(columns);
  const squares = new Float64Array(columns);
  let total = 0;
  for (const { sequence, weights } of sample) {
    const { input } = sequence;
    for (const [token, weight] of weights.entries()) {
      total += weight;
      for (let j = 0; j < columns; j++) {
        const value = input[token * columns + j]!;
        magnitudes[j]! += weight * Math.abs(value);
        squares[j]! += weight * value * value;
      }
    }
  }
  return { magnitudes: magnitudes.map((sum) => sum / total), squares: squares.map((sum) => sum / total) };
}

/** The outputs by which scales of a stage are judged: those of the first stage from there on that writes to the residual path. */
class InspectedOutputs {
  readonly #last: number;
  /** Of each sequence, with the weights that were in place at first. */
  readonly #expected: readonly Float32Array[];

  constructor(
    private readonly block: CalibrationBlock,
    private readonly stage: number,
    private readonly sample: readonly Sample[],
  ) {
    const writing = block.stages.findIndex(({ writesResidual }, i) => i >= stage && writesResidual);
    this.#last = writing < 0 ? block.stages.length - 1 : writing;
    this.#expected = sample.map(({ sequence }) => this.#outputs(sequence));
  }

  /** Of the outputs with the present weights, each token counted by its weight. */
  squaredError(): number {
    let sum = 0;
    for (const [i, { sequence, weights }] of this.sample.entries()) {
      const expected = this.#expected[i]!;
      const outputs = this.#outputs(sequence);
      const width = outputs.length / weights.length;
      for (const [token, weight] of weights.entries()) {
        for (let j = token * width; j < (token + 1) * width; j++) {
          sum += weight * (outputs[j]! - expected[j]!) ** 2;
        }
      }
    }
    return sum;
  }

  /** [tokens, width] what is added to hidden states of zeros: so nothing of the outputs is lost beside large ones. */
  #outputs({ hidden, input }: CalibrationSequence): Float32Array {
    const copy = { hidden: new Float32Array(hidden.length), input: input.slice() };
    for (let stage = this.stage; stage <= this.#last; stage++) this.block.advance(stage, copy);
    return copy.hidden;
  }
}
