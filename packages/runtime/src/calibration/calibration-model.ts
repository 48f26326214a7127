import { InvalidArgumentError } from '@lbs/format';
import { createKernels } from '@lbs/kernels';
import type { CancelOptions, ModelSource } from '@lbs/model-loaders';
import { BlockComputation } from '../decoder/block-computation.js';
import { checkTokens, contextLengthOf } from '../decoder/context.js';
import type { DecoderOptions } from '../decoder/decoder.js';
import { WeightLoader } from '../decoder/decoder-weights.js';
import {
  type GradientOptions,
  measureOutputGradients,
  type OutputGradients,
} from '../gradients/output-gradients.js';
import { createLoadedBlock, type LoadedBlock } from './calibration-block.js';
import { embedInMemory, embedSequences } from './embed-sequences.js';

/** What a model is opened with to run block by block. */
export type BlockwiseOptions = Omit<DecoderOptions, 'onProgress'>;

/**
 * A decoder that runs block by block, with one block in memory at a time, and shows what its linear layers read: a `CalibrationModel`
 * of the quantizer. Hidden states are float32 [tokens, hiddenSize], row-major.
 */
export interface BlockwiseModel {
  /** Number of decoder blocks. */
  readonly blocks: number;
  /** Most tokens of a sequence. */
  readonly contextLength: number;
  /**
   * Hidden states [tokens, hiddenSize] of each sequence before the first block. Reads the rows of the embedding that are needed, and keeps none.
   * Throws InvalidArgumentError on an empty sequence, on a token outside of the vocabulary, and where the tokens do not fit the context.
   */
  embed(sequences: readonly (readonly number[])[], options?: CancelOptions): Promise<Float32Array[]>;
  /**
   * Reads the weights of one block into the kernels' memory; `release` takes back all that was allocated there since. Throws
   * InvalidArgumentError where there is no such block, and while another is in memory.
   */
  loadBlock(index: number, options?: CancelOptions): Promise<LoadedBlock>;
  /**
   * How much the loss depends on what each linear layer puts out, on some sequences, by module: one pass forward and one back over
   * all blocks, at the cost of three to four passes forward, with one block in memory at a time.
   *
   * The loss of a sequence is the sum of -log p(label) over its positions, with labels drawn from the model's own distribution. So the squared
   * gradients estimate the diagonal of the Fisher information (Martens, arXiv 1412.1193), and independent errors of the
   * outputs with the mean squares e_i raise the KL divergence, per token and to second order, by 1/2 sum over output features of
   * rowMeans_i * e_i.
   *
   * Hidden states before every block are kept: 4 * tokens * hiddenSize * (blocks + 1) bytes, 36 MB for each 512 tokens of
   * SmolLM2-135M. To need less, measure fewer sequences at a time.
   *
   * Throws InvalidArgumentError for no sequences, for tokens that `embed` refuses, for labels that do not fit, and while a block is in
   * memory; NonFiniteWeightError where a gradient is not finite.
   */
  measureOutputGradients(
    sequences: readonly (readonly number[])[],
    options?: GradientOptions,
  ): Promise<ReadonlyMap<string, OutputGradients>>;
}

/**
 * Opens a model to run block by block, as calibration does. The source stays open until the last block is loaded, and while
 * sequences are embedded or gradients measured. Computes what `Decoder.logits` computes, in the same batches, so to the same bits.
 */
export async function openCalibrationModel(
  source: ModelSource,
  options: BlockwiseOptions = {},
): Promise<BlockwiseModel> {
  const { config } = source;
  options.signal?.throwIfAborted();
  const kernels = options.kernels ?? (await createKernels({ threads: options.threads ?? 1 }));
  const contextLength = contextLengthOf(config, options.contextLength);
  const computation = new BlockComputation(config, kernels, contextLength);
  const cache = computation.allocateCache();
  /** What is in the memory behind the above, last in, first out. */
  let inMemory: string | undefined;
  const occupyMemory = (what: string) => {
    if (inMemory !== undefined) {
      throw new InvalidArgumentError(`${inMemory} is still in memory`, {
        mend: 'Release a block, or await the end of a measurement, before the next is loaded.',
      });
    }
    inMemory = what;
    const mark = kernels.mark();
    return () => {
      inMemory = undefined;
      kernels.release(mark);
    };
  };
  const checkSequence = (tokens: readonly number[]) => {
    if (tokens.length === 0) throw new InvalidArgumentError('the sequence has no tokens');
    checkTokens(tokens, config, contextLength);
  };
  return {
    blocks: config.layers,
    contextLength,
    async embed(sequences, embedOptions) {
      sequences.forEach(checkSequence);
      return embedSequences(source, kernels, sequences, embedOptions);
    },
    async loadBlock(index, { signal } = {}) {
      if (!(Number.isInteger(index) && index >= 0 && index < config.layers)) {
        throw new InvalidArgumentError(`block ${index} is not one of the ${config.layers} blocks`);
      }
      const release = occupyMemory(`block ${index}`);
      try {
        const weights = await new WeightLoader(source, kernels, { signal }).layer(index);
        return createLoadedBlock({
          config,
          kernels,
          contextLength,
          computation,
          cache,
          index,
          weights,
          release,
        });
      } catch (error) {
        release();
        throw error;
      }
    },
    async measureOutputGradients(sequences, options = {}) {
      const release = occupyMemory('a measurement of gradients');
      try {
        const loader = new WeightLoader(source, kernels, options);
        const weights = { embedding: await loader.embedding(), positions: await loader.positions() };
        const embed = (tokens: readonly number[]) => {
          checkSequence(tokens);
          return embedInMemory(kernels, config, weights, tokens);
        };
        const parts = { source, kernels, embedding: weights.embedding, computation, cache, embed };
        return await measureOutputGradients(parts, sequences, options);
      } finally {
        release();
      }
    },
  };
}
