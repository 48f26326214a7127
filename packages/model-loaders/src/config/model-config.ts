import type { RotaryScaling } from './rotary-scaling.js';

/**
 * What the feed-forward layer applies: x / (1 + e^-x); x times the normal distribution function (arXiv 1606.08415), exactly or with its
 * approximation by the hyperbolic tangent; or max(x, 0).
 */
export type FeedForwardActivation = 'silu' | 'gelu' | 'geluTanh' | 'relu';

/**
 * The shape of a model, whatever file it came from. The optional fields say what differs from a Llama: where one is missing, the
 * model does as Llama does.
 */
export interface ModelConfig {
  /** Name of the declaration that says where the weights are; `model_type` of config.json. */
  readonly architecture: string;
  /** Width of the residual stream. */
  readonly hiddenSize: number;
  /** Width of the feed-forward layer. */
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
  /** Added to the mean square in RMSNorm, to the variance in LayerNorm. */
  readonly normEpsilon: number;
  /** Base of the rotary position embedding's wavelengths. */
  readonly ropeTheta: number;
  /** True where the output projection is the embedding matrix, and has no weights of its own. */
  readonly tiedEmbeddings: boolean;
  /** Token ids; of several ends of sequence the first. */
  readonly beginningOfSequence?: number;
  readonly endOfSequence?: number;

  /** `layer`: norms take off the mean and may have a bias. Default RMSNorm. */
  readonly norm?: 'layer';
  /** What is added to the stored weights of norms. Default 0. */
  readonly normOffset?: number;

  /** Dimensions at the front of each head that the rotary embedding turns; 0 for none. Default all. */
  readonly rotarySize?: number;
  /** How the wavelengths are stretched beyond the context of pretraining. Default not at all. */
  readonly ropeScaling?: RotaryScaling;
  /** For each layer, whether queries and keys are turned. Default all. */
  readonly rotaryLayers?: readonly boolean[];
  /** The base of layers with a sliding window, whose wavelengths are not stretched. Default as the others. */
  readonly localRopeTheta?: number;
  /** Row of the table of learned positions that position 0 has. Default: there is no such table. */
  readonly positionOffset?: number;

  /** What products of queries and keys are multiplied with. Default 1 / sqrt(headSize). */
  readonly attentionScale?: number;
  /** Attention scores x become cap * tanh(x / cap). */
  readonly attentionSoftcap?: number;
  /** Queries, keys and values are kept within [-clip, clip]. */
  readonly attentionClip?: number;
  /** Positions that a token sees, itself among them. Default all. */
  readonly slidingWindow?: number;
  /** For each layer, whether it has the window. Default all. */
  readonly slidingLayers?: readonly boolean[];

  /** Default silu. */
  readonly activation?: FeedForwardActivation;
  /** The feed-forward layer reads what the block reads, not what attention has been added to. Default false. */
  readonly parallelResidual?: boolean;

  /** Whether the query, key and value projections have a bias. Default false. */
  readonly queryKeyValueBias?: boolean;
  /** Whether the output projection of attention has a bias. Default false. */
  readonly attentionOutputBias?: boolean;
  /** Whether the matrices of the feed-forward layer have a bias. Default false. */
  readonly feedForwardBias?: boolean;

  /** What embeddings are multiplied with. Default 1. */
  readonly embeddingScale?: number;
  /** What the outputs of attention and feed-forward layer are multiplied with before they are added up. Default 1. */
  readonly residualScale?: number;
  /** What logits are multiplied with. Default 1. */
  readonly logitScale?: number;
  /** Logits x become cap * tanh(x / cap). */
  readonly logitSoftcap?: number;
}
