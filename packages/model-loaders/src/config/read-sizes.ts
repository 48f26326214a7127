import type { ConfigFields } from './config-fields.js';
import type { ModelConfig } from './model-config.js';

/** The sizes that every config has, the rotary embedding aside. */
export type ModelSizes = Omit<ModelConfig, 'ropeTheta'>;

/** What an architecture has where its config does not say; of the fields left out, the default is Llama's. */
export interface SizeDefaults {
  readonly contextLength?: number;
  /** Key of the epsilon of norms. */
  readonly normEpsilonKey?: string;
  readonly normEpsilon?: number;
  readonly tiedEmbeddings?: boolean;
  /** Where a config may leave them out. */
  readonly heads?: number;
  readonly vocabularySize?: number;
  /** Where it is not hiddenSize / heads. */
  readonly headSize?: number;
  /** Where it is not the number of heads. */
  readonly keyValueHeads?: number;
  readonly intermediateSize?: (hiddenSize: number) => number;
}

/** Reads the fields that nearly all architectures have under the same names. Throws MalformedFileError. */
export function readSizes(
  architecture: string,
  fields: ConfigFields,
  defaults: SizeDefaults = {},
): ModelSizes {
  const { normEpsilonKey = 'rms_norm_eps', normEpsilon = 1e-6 } = defaults;
  const hiddenSize = fields.size('hidden_size');
  const heads = fields.size('num_attention_heads', defaults.heads);
  const keyValueHeads = fields.size('num_key_value_heads', defaults.keyValueHeads ?? heads);
  if (heads % keyValueHeads !== 0) {
    throw fields.malformed('num_key_value_heads', keyValueHeads, `a divisor of ${heads} attention heads`);
  }
  const beginningOfSequence = fields.token('bos_token_id');
  const endOfSequence = fields.token('eos_token_id');
  return {
    architecture,
    hiddenSize,
    intermediateSize: fields.size('intermediate_size', defaults.intermediateSize?.(hiddenSize)),
    layers: fields.layers('num_hidden_layers'),
    heads,
    keyValueHeads,
    headSize: fields.size('head_dim', defaults.headSize ?? hiddenSize / heads),
    vocabularySize: fields.size('vocab_size', defaults.vocabularySize),
    contextLength: fields.size('max_position_embeddings', defaults.contextLength ?? 2048),
    normEpsilon: fields.positive(normEpsilonKey, normEpsilon),
    tiedEmbeddings: fields.boolean('tie_word_embeddings', defaults.tiedEmbeddings ?? false),
    ...given({ beginningOfSequence, endOfSequence }),
  };
}

/** The members that are not undefined. */
export function given<T extends object>(members: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  const present = Object.entries(members).filter(([, value]) => value !== undefined);
  return Object.fromEntries(present) as { [Key in keyof T]?: Exclude<T[Key], undefined> };
}

/**
 * The layers that have the window, as `layer_types` says, or else `isSliding`; none where the window is undefined. Throws
 * UnsupportedError for other types of layers.
 */
export function readWindow(
  fields: ConfigFields,
  layers: number,
  slidingWindow: number | undefined,
  isSliding: (layer: number) => boolean,
): Pick<ModelConfig, 'slidingWindow' | 'slidingLayers'> {
  const types = fields.listOfLayers('layer_types', layers);
  const slidingLayers = Array.from({ length: layers }, (_, layer) => {
    const type = types ? types[layer] : isSliding(layer) ? 'sliding_attention' : 'full_attention';
    if (type === 'sliding_attention' || type === 'full_attention') return type === 'sliding_attention';
    throw fields.unsupported('layer_types', type, 'Known: sliding_attention, full_attention.');
  });
  if (slidingWindow === undefined || !slidingLayers.includes(true)) return {};
  return slidingLayers.includes(false) ? { slidingWindow, slidingLayers } : { slidingWindow };
}

/** What `hidden_act` calls the activations that are known. */
const activations = {
  silu: 'silu',
  swish: 'silu',
  gelu: 'gelu',
  gelu_new: 'geluTanh',
  gelu_fast: 'geluTanh',
  gelu_pytorch_tanh: 'geluTanh',
  relu: 'relu',
} as const;

/** The activation that a field names. Throws UnsupportedError for one that is not known. */
export function readActivation(
  fields: ConfigFields,
  key: string,
  fallback: keyof typeof activations,
): Pick<ModelConfig, 'activation'> {
  const names = Object.keys(activations) as (keyof typeof activations)[];
  const activation = activations[fields.oneOf(key, names, fallback)];
  return activation === 'silu' ? {} : { activation };
}
