import { InvalidArgumentError } from '@lbs/format';
import { createKernels } from '@lbs/kernels';
import type { CancelOptions, ModelSource } from '@lbs/model-loaders';
import { BlockComputation, batchTokens } from './block-computation.js';
import { createLoadedBlock, type LoadedBlock } from './calibration-block.js';
import { checkTokens, contextLengthOf } from './context.js';
import type { DecoderOptions } from './decoder.js';
import { WeightLoader } from './decoder-weights.js';

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
   * Hidden states [tokens.length, hiddenSize] before the first block. Throws InvalidArgumentError on an empty list, on a token
   * outside of the vocabulary, and where the tokens do not fit the context.
   */
  embed(tokens: readonly number[]): Float32Array;
  /**
   * Reads the weights of one block into the kernels' memory; `release` takes back all that was allocated there since. Throws
   * InvalidArgumentError where there is no such block, and while another is in memory.
   */
  loadBlock(index: number, options?: CancelOptions): Promise<LoadedBlock>;
}

/**
 * Opens a model to run block by block, as calibration does. Loads the embedding; the source stays open until the last block is
 * loaded. Computes what `Decoder.logits` computes, in the same batches, so to the same bits.
 */
export async function openCalibrationModel(
  source: ModelSource,
  options: BlockwiseOptions = {},
): Promise<BlockwiseModel> {
  const { config } = source;
  const kernels = options.kernels ?? (await createKernels({ threads: options.threads ?? 1 }));
  const contextLength = contextLengthOf(config, options.contextLength);
  const embedding = await new WeightLoader(source, kernels, options).embedding();
  const computation = new BlockComputation(config, kernels, contextLength);
  const cache = computation.allocateCache();
  let inMemory: number | undefined;
  return {
    blocks: config.layers,
    contextLength,
    embed(tokens) {
      if (tokens.length === 0) throw new InvalidArgumentError('the sequence has no tokens');
      checkTokens(tokens, config, contextLength);
      const hidden = new Float32Array(tokens.length * config.hiddenSize);
      for (let position = 0; position < tokens.length; position += batchTokens) {
        const batch = tokens.slice(position, position + batchTokens);
        kernels.gather(embedding, batch, computation.hidden);
        hidden.set(
          kernels.float32(computation.hidden, batch.length * config.hiddenSize),
          position * config.hiddenSize,
        );
      }
      return hidden;
    },
    async loadBlock(index, { signal } = {}) {
      if (!(Number.isInteger(index) && index >= 0 && index < config.layers)) {
        throw new InvalidArgumentError(`block ${index} is not one of the ${config.layers} blocks`);
      }
      if (inMemory !== undefined) {
        throw new InvalidArgumentError(`block ${inMemory} is still in memory`, {
          mend: 'Release it before another is loaded.',
        });
      }
      const mark = kernels.mark();
      const release = () => {
        inMemory = undefined;
        kernels.release(mark);
      };
      inMemory = index;
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
  };
}
