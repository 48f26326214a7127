import type { JsonObject } from './json-file.js';

/** The decoder-only transformer architectures that are known, by the names that config.json uses. */
export type Architecture = 'llama';

/** The shape of a model, whatever file it came from. */
export interface ModelConfig {
  readonly architecture: Architecture;
  /** Width of the residual stream. */
  readonly hiddenSize: number;
  /** Width of the gated feed-forward layer. */
  readonly intermediateSize: number;
  readonly layers: number;
  /** Query heads. */
  readonly heads: number;
  /** Key and value heads; divides `heads`. */
  readonly keyValueHeads: number;
  /** Width of one head. */
  readonly headSize: number;
  /** Rows of the embedding matrix; at least the tokens of the tokenizer. */
  readonly vocabularySize: number;
  /** Positions that the model was trained for. */
  readonly contextLength: number;
  /** Added to the mean square in RMSNorm. */
  readonly normEpsilon: number;
  /** Base of the rotary position embedding's wavelengths. */
  readonly ropeTheta: number;
  /** True where the output projection is the embedding matrix, and no `lm_head.weight` exists. */
  readonly tiedEmbeddings: boolean;
  /** Token ids; of several ends of sequence the first. */
  readonly beginningOfSequence?: number;
  readonly endOfSequence?: number;
}

/** The config.json that says what `config` says. */
export function configJsonOf(config: ModelConfig): JsonObject {
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: config.architecture,
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.keyValueHeads,
    head_dim: config.headSize,
    vocab_size: config.vocabularySize,
    max_position_embeddings: config.contextLength,
    rms_norm_eps: config.normEpsilon,
    rope_theta: config.ropeTheta,
    rope_scaling: null,
    tie_word_embeddings: config.tiedEmbeddings,
    hidden_act: 'silu',
    attention_bias: false,
    mlp_bias: false,
    ...(config.beginningOfSequence === undefined ? {} : { bos_token_id: config.beginningOfSequence }),
    ...(config.endOfSequence === undefined ? {} : { eos_token_id: config.endOfSequence }),
  };
}
