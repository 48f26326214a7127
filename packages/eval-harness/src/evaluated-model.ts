/**
 * What the harness needs of a language model. Adapters wrap a runtime in it; nothing here knows of weights.
 */
export interface EvaluatedModel {
  /** Logits per position. */
  readonly vocabularySize: number;
  /** Most tokens that `logits` takes. */
  readonly contextLength: number;
  /** The token that begins a sequence, if the vocabulary has one. */
  readonly beginningOfSequence?: number | undefined;
  /** Whether the tokenizer puts `beginningOfSequence` before every text by itself (`add_bos_token`). */
  readonly addsBeginningOfSequence: boolean;

  /**
   * Token ids of a text as the model's tokenizer makes them by default, with what it adds at the beginning.
   */
  encode(text: string): readonly number[];

  /**
   * Logits of the next token at positions `first` .. tokens.length - 1, row-major [tokens.length - first,
   * vocabularySize]. The array may be overwritten by the next call on this model. Consecutive calls often
   * share leading tokens, so that a key-value cache pays.
   */
  logits(tokens: readonly number[], first: number, options?: CallOptions): Promise<Float32Array>;

  /**
   * For each continuation of a context its logits, row-major [continuation.length, vocabularySize]: row i is what `logits` gives for the
   * position before its token i. Models that compute the continuations together are quicker than one call of `logits` for each.
   */
  continuations?(
    context: readonly number[],
    continuations: readonly (readonly number[])[],
    options?: CallOptions,
  ): Promise<readonly Float32Array[]>;

  /**
   * Greedy continuation of the tokens, as text, up to a stop text (left out). Only generation tasks need it.
   */
  generate?(tokens: readonly number[], options: GenerateOptions): Promise<{ readonly text: string }>;
}

/** Options of every call of a model. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Options of a greedy continuation. */
export interface GenerateOptions extends CallOptions {
  readonly maxTokens: number;
  /** Texts before which the generation stops. */
  readonly stop: readonly string[];
}

/** How far an evaluation has come; reported after every chunk or item. */
export interface EvaluationProgress {
  readonly unit: 'chunks' | 'items';
  readonly completed: number;
  readonly total: number;
  /** The figure so far: perplexity for chunks, accuracy for items. */
  readonly value: number;
}

/** Options that every evaluation takes. */
export interface EvaluationOptions {
  /** Aborts between two calls of the model, and inside one where the model heeds it. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: EvaluationProgress) => void) | undefined;
}
