interface CancelOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * A decoder that runs block by block and shows what its linear layers read. The quantizer measures activations through it;
 * `@lbs/runtime` makes one of a model's source. Hidden states are float32 [tokens, width], row-major.
 */
export interface CalibrationModel {
  /** Number of decoder blocks. */
  readonly blocks: number;
  /** Hidden states [tokens, width] of each sequence before the first block. */
  embed(sequences: readonly (readonly number[])[], options?: CancelOptions): Promise<Float32Array[]>;
  /** Loads the weights of one block; `release` it before the next is loaded, so that one is in memory at a time. */
  loadBlock(index: number, options?: CancelOptions): Promise<CalibrationBlock>;
  /**
   * Squared gradients of the loss with respect to what each linear layer, the head (`lm_head`, tied or not) and the embedding (`model.embed_tokens`) put out, on some
   * sequences, by module, while no block is in memory. The loss is the
   * sum of -log p(label) over the positions of a sequence, with labels drawn from the model's own distribution by the seed: so independent
   * errors of the outputs with the mean squares e_i raise the KL divergence, per token and to second order, by 1/2 sum over output
   * features of rowMeans_i * e_i. A model may lack it.
   */
  measureOutputGradients?(
    sequences: readonly (readonly number[])[],
    options?: GradientMeasurement,
  ): Promise<ReadonlyMap<string, OutputSensitivity>>;
}

/** Options of `CalibrationModel.measureOutputGradients`. */
export interface GradientMeasurement extends CancelOptions {
  /** Same seed, same labels. */
  readonly seed?: number | undefined;
  readonly onProgress?: ((progress: { readonly done: number; readonly total: number }) => void) | undefined;
}

/** How much the loss depends on what a module puts out: squared gradients. */
export interface OutputSensitivity {
  /** For each sequence [tokens]: the sum over output features. */
  readonly tokenSums: readonly Float32Array[];
  /** For each output feature the mean over the tokens of all sequences. */
  readonly rowMeans: Float32Array;
  /** Of the head alone, for each input feature: the mean over tokens of its square times the token's sum. */
  readonly inputSquares?: Float32Array | undefined;
}

/**
 * What gives an input: feature j is proportional to row `rows[j]` of the module's weight and to nothing else of it, to element `rows[j]` where
 * that is a vector (a norm). Several features may come from one row, as values of grouped-query attention do.
 */
export interface InputProducer {
  readonly module: string;
  /** [columns] */
  readonly rows: Uint32Array;
}

/** Linear layers of a block that read the same input. */
export interface CalibrationStage {
  /** Names of the modules, such as `model.layers.0.self_attn.q_proj`. */
  readonly modules: readonly string[];
  /** Input features of each. */
  readonly columns: number;
  /** Transforms fold scales of the input into it; without one the input is not scaled. */
  readonly producer?: InputProducer | undefined;
  /** Whether the outputs of the layers are added to the hidden states. Default false. */
  readonly writesResidual?: boolean | undefined;
}

/** Where one sequence is in a block. */
export interface CalibrationSequence {
  /** [tokens, width] hidden states on the residual path. */
  hidden: Float32Array;
  /** [tokens, columns] what the linear layers of the present stage read. */
  input: Float32Array;
}

/** One decoder block with its weights in memory. */
export interface CalibrationBlock {
  /** In the order of computation: for Llama q, k, v; o; gate, up; down. */
  readonly stages: readonly CalibrationStage[];
  /** Puts the input of stage 0 into the sequence, whose hidden states are those before the block. */
  begin(sequence: CalibrationSequence): void;
  /**
   * Computes the linear layers of a stage on the sequence's input, and everything up to the next stage; after the last stage
   * the hidden states are those behind the block.
   */
  advance(stage: number, sequence: CalibrationSequence): void;
  /**
   * [tokens] how much attention each token receives, summed over heads and tokens. The sequence's hidden states are those before the
   * block; nothing of it changes.
   */
  attentionReceived(sequence: CalibrationSequence): Float32Array;
  /** Lets a module compute with other weights [rows, columns] from now on: the dequantized ones. */
  replaceWeights(module: string, weights: Float32Array): void;
  /** Gives the memory back; the block is not used again. */
  release(): void;
}
