import { InvalidArgumentError, NonFiniteWeightError } from '@lbs/format';
import type { Kernels, Matrix } from '@lbs/kernels';
import type { CancelOptions, ModelSource } from '@lbs/model-loaders';
import type { KeyValueCache } from '../decoder/attention-computation.js';
import { batchTokens } from '../decoder/batch.js';
import type { BlockComputation } from '../decoder/block-computation.js';
import { type LayerWeights, WeightLoader } from '../decoder/decoder-weights.js';
import { createRandom } from '../generation/sampling.js';
import { BlockGradients } from './block-gradients.js';
import { drawIndex, HeadGradients, type LabelChooser } from './head-gradients.js';

/**
 * Squared gradients of the loss with respect to what a module puts out: a linear layer of a block, for q and k before the rotary embedding; the output
 * head, always as `lm_head`; and the embedding.
 */
export interface OutputGradients {
  /** For each sequence [tokens]: the sum over output features. */
  readonly tokenSums: readonly Float32Array[];
  /** For each output feature the mean over the tokens of all sequences: of logits [vocabulary], of the embedding [hiddenSize]. */
  readonly rowMeans: Float32Array;
  /**
   * Of the head alone, [hiddenSize]: for each input feature the mean over tokens of its square times the token's sum. Of other layers the inputs
   * can be seen block by block.
   */
  readonly inputSquares?: Float32Array | undefined;
}

/** How far a measurement has come; reported after every sequence at every block, forward and backward, and at the output head. */
export interface GradientProgress {
  /** Steps so far, and in all. */
  readonly done: number;
  readonly total: number;
}

/** Options of `BlockwiseModel.measureOutputGradients`. */
export interface GradientOptions extends CancelOptions {
  /** Same seed, same labels. Default 0. */
  readonly seed?: number | undefined;
  /**
   * Labels in the place of drawn ones, for each sequence position by position; positions behind the last one have no loss. The empirical
   * Fisher information has the text itself: `sequences.map((tokens) => tokens.slice(1))`.
   */
  readonly labels?: readonly (readonly number[])[] | undefined;
  readonly onProgress?: ((progress: GradientProgress) => void) | undefined;
}

/** The model to measure. */
export interface GradientParts {
  readonly source: ModelSource;
  readonly kernels: Kernels;
  readonly embedding: Matrix;
  readonly computation: BlockComputation;
  readonly cache: KeyValueCache;
  readonly embed: (tokens: readonly number[]) => Float32Array;
}

/** Goes through all blocks forward, keeping the hidden states before each, then through the output head and back. */
export async function measureOutputGradients(
  parts: GradientParts,
  sequences: readonly (readonly number[])[],
  { seed = 0, labels, signal, onProgress }: GradientOptions,
): Promise<ReadonlyMap<string, OutputGradients>> {
  const { source, kernels, embedding } = parts;
  const { config } = source;
  const { layout } = parts.computation;
  if (sequences.length === 0) throw new InvalidArgumentError('there are no sequences');
  const hidden = sequences.map((tokens) => [parts.embed(tokens)]);
  if (labels) assertLabels(labels, sequences, config.vocabularySize);
  const total = (2 * config.layers + 1) * sequences.length;
  let done = 0;
  /** Runs `step` for each sequence, with what `load` puts into the memory. */
  const forEachSequence = async <Loaded>(
    load: (loader: WeightLoader) => Promise<Loaded>,
    step: (loaded: Loaded, sequence: number) => void,
  ) => {
    const mark = kernels.mark();
    try {
      const loaded = await load(new WeightLoader(source, kernels, { signal }));
      for (const sequence of sequences.keys()) {
        step(loaded, sequence);
        onProgress?.({ done: ++done, total });
        // Gives timers and abort signals their turn.
        await new Promise((resolve) => setTimeout(resolve, 0));
        signal?.throwIfAborted();
      }
    } finally {
      kernels.release(mark);
    }
  };

  for (let index = 0; index < config.layers; index++) {
    await forEachSequence(
      (loader) => loader.layer(index),
      (weights, sequence) => {
        const states = hidden[sequence]!;
        states.push(runBlock(parts, index, weights, states[index]!));
      },
    );
  }

  const random = createRandom(seed);
  const chooserOf = (sequence: number): LabelChooser =>
    labels
      ? (position) => labels[sequence]![position]
      : (_, probabilities) => drawIndex(probabilities, random());
  const gradients: Float32Array[] = [];
  const sums = new Map<string, SquareSums>();
  const sumsOf = (module: string, rows: number) => {
    const present = sums.get(module) ?? new SquareSums(module, rows);
    sums.set(module, present);
    return present;
  };
  await forEachSequence(
    async (loader) => ({
      finalNorm: await loader.finalNorm(),
      head: await loader.head(embedding),
      computation: new HeadGradients(config, kernels),
    }),
    ({ computation, ...weights }, sequence) => {
      const states = hidden[sequence]!.pop()!;
      const logits = sumsOf('lm_head', config.vocabularySize);
      logits.beginSequence();
      gradients.push(
        computation.run(weights, states, chooserOf(sequence), (input, gradient) =>
          logits.add(gradient, input),
        ),
      );
    },
  );

  const longest = Math.max(...sequences.map(({ length }) => length));
  for (let index = config.layers - 1; index >= 0; index--) {
    await forEachSequence(
      async (loader) => ({
        weights: await loader.layer(index),
        computation: new BlockGradients(config, kernels, parts.computation, longest),
      }),
      ({ weights, computation }, sequence) => {
        computation.run({
          layer: index,
          weights,
          hidden: hidden[sequence]!.pop()!,
          gradient: gradients[sequence]!,
          onGradient(module, gradient) {
            const tokens = sequences[sequence]!.length;
            const outputs = sumsOf(`${layout.blocks}.${index}.${module}`, gradient.length / tokens);
            outputs.beginSequence();
            outputs.add(gradient);
          },
        });
      },
    );
  }
  const { embeddingScale } = config;
  for (const gradient of gradients) {
    const embedded = sumsOf(layout.embedding, config.hiddenSize);
    embedded.beginSequence();
    embedded.add(embeddingScale === undefined ? gradient : gradient.map((value) => value * embeddingScale));
  }
  return new Map([...sums].reverse().map(([module, sum]) => [module, sum.finish()]));
}

/** Hidden states [tokens, hiddenSize] behind a block from those before it. */
function runBlock(
  { source, kernels, computation, cache }: GradientParts,
  layer: number,
  weights: LayerWeights,
  hidden: Float32Array,
): Float32Array {
  const { hiddenSize } = source.config;
  const behind = new Float32Array(hidden.length);
  const tokens = hidden.length / hiddenSize;
  for (let position = 0; position < tokens; position += batchTokens) {
    const count = Math.min(batchTokens, tokens - position);
    const batch = { layer, weights, cache, tokens: count, parts: [{ tokens: count, position }] };
    const start = position * hiddenSize;
    const length = batch.tokens * hiddenSize;
    kernels.float32(computation.hidden, length).set(hidden.subarray(start, start + length));
    computation.run(batch);
    behind.set(kernels.float32(computation.hidden, length), start);
  }
  return behind;
}

/** Squared gradients of one module, summed as they come. */
class SquareSums {
  private readonly tokenSums: number[][] = [];
  private readonly rowSums: Float64Array;
  private inputSums: Float64Array | undefined;

  constructor(
    private readonly module: string,
    private readonly rows: number,
  ) {
    this.rowSums = new Float64Array(rows);
  }

  beginSequence(): void {
    this.tokenSums.push([]);
  }

  /** Counts the gradient [tokens, rows] of the sequence's next tokens, with what the module reads [tokens, columns] where that is wanted. */
  add(gradient: Float32Array, input?: Float32Array): void {
    const { rows, rowSums } = this;
    const sums = this.tokenSums.at(-1)!;
    const tokens = gradient.length / rows;
    for (let token = 0; token < tokens; token++) {
      const start = token * rows;
      let sum = 0;
      for (let row = 0; row < rows; row++) {
        const square = gradient[start + row]! ** 2;
        sum += square;
        rowSums[row]! += square;
      }
      if (!Number.isFinite(sum)) {
        throw new NonFiniteWeightError(
          `the gradient of token ${sums.length} is not finite on the calibration text`,
          {
            tensor: this.module,
            mend: 'The model gives NaN or infinite activations: use another checkpoint.',
          },
        );
      }
      if (input) this.addInput(input.subarray((token * input.length) / tokens), input.length / tokens, sum);
      sums.push(sum);
    }
  }

  private addInput(input: Float32Array, columns: number, sum: number): void {
    this.inputSums ??= new Float64Array(columns);
    for (let j = 0; j < columns; j++) this.inputSums[j]! += sum * input[j]! ** 2;
  }

  finish(): OutputGradients {
    const tokens = this.tokenSums.reduce((count, { length }) => count + length, 0);
    const mean = (sums: Float64Array) => Float32Array.from(sums, (sum) => sum / tokens);
    return {
      tokenSums: this.tokenSums.map((sums) => Float32Array.from(sums)),
      rowMeans: mean(this.rowSums),
      inputSquares: this.inputSums && mean(this.inputSums),
    };
  }
}

function assertLabels(
  labels: readonly (readonly number[])[],
  sequences: readonly (readonly number[])[],
  vocabularySize: number,
): void {
  if (labels.length !== sequences.length) {
    throw new InvalidArgumentError(`there are labels for ${labels.length} of ${sequences.length} sequences`);
  }
  for (const [i, { length }] of labels.entries()) {
    if (length <= sequences[i]!.length) continue;
    throw new InvalidArgumentError(
      `sequence ${i} has ${sequences[i]!.length} tokens, and ${length} labels are too many`,
    );
  }
  const bad = labels
    .flat()
    .find((label) => !(Number.isInteger(label) && label >= 0 && label < vocabularySize));
  if (bad !== undefined) {
    throw new InvalidArgumentError(`label ${bad} is outside of the vocabulary of ${vocabularySize}`);
  }
}
