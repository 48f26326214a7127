import { ConfigFields } from '../config/config-fields.js';
import type { JsonObject } from '../config/json-file.js';
import type { GgufReader } from './gguf.js';

/** The metadata of a GGUF file by their keys without the architecture's name, and the names of the tensors. */
export class GgufFields extends ConfigFields {
  readonly #tensors: GgufReader['tensors'];

  constructor(
    { metadata, tensors }: Pick<GgufReader, 'metadata' | 'tensors'>,
    architecture: string,
    file: string,
  ) {
    super(
      (key) => metadata.get(key),
      file,
      (key) => (key.includes('ggml') ? key : `${architecture}.${key}`),
    );
    this.#tensors = tensors;
  }

  /** The shortest decimal of a positive float32, as the publisher wrote it: 1e-5, and not 9.999999747378752e-6. */
  decimal(key: string, fallback?: number): number {
    return shortestFloat32(this.positive(key, fallback));
  }

  /** As `decimal`; undefined where there is none. */
  optionalDecimal(key: string): number | undefined {
    return this.value(key) === undefined ? undefined : this.decimal(key);
  }

  hasTensor(name: string): boolean {
    return this.#tensors.has(name);
  }
}

/** What every config.json says. */
export interface GgufSizes extends JsonObject {
  readonly hidden_size: number;
  readonly num_attention_heads: number;
  readonly num_hidden_layers: number;
  readonly head_dim: number;
  readonly max_position_embeddings: number;
}

/** Reads the sizes that llama.cpp has under the same keys for all architectures. Throws MalformedFileError. */
export function readGgufSizes(fields: GgufFields): GgufSizes {
  const tokens = fields.value('tokenizer.ggml.tokens');
  const heads = fields.size('attention.head_count');
  const hiddenSize = fields.size('embedding_length');
  const keyValueHeads = fields.size('attention.head_count_kv', heads);
  if (heads % keyValueHeads !== 0) {
    throw fields.malformed('attention.head_count_kv', keyValueHeads, `a divisor of ${heads} attention heads`);
  }
  const headSize = fields.size('attention.key_length', hiddenSize / heads);
  fields.only('attention.value_length', headSize);
  const epsilon = fields.optionalDecimal('attention.layer_norm_rms_epsilon');
  const token = (name: string) => fields.token(`tokenizer.ggml.${name}_token_id`);
  const [beginning, end] = [token('bos'), token('eos')];
  return {
    hidden_size: hiddenSize,
    intermediate_size: fields.size('feed_forward_length'),
    num_hidden_layers: fields.layers('block_count'),
    num_attention_heads: heads,
    num_key_value_heads: keyValueHeads,
    head_dim: headSize,
    vocab_size: fields.size('vocab_size', Array.isArray(tokens) ? tokens.length : undefined),
    max_position_embeddings: fields.size('context_length'),
    ...(epsilon === undefined
      ? { layer_norm_eps: fields.decimal('attention.layer_norm_epsilon') }
      : { rms_norm_eps: epsilon }),
    tie_word_embeddings: !fields.hasTensor('output.weight'),
    ...(beginning === undefined ? {} : { bos_token_id: beginning }),
    ...(end === undefined ? {} : { eos_token_id: end }),
  };
}

function shortestFloat32(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const shorter = Number(value.toPrecision(digits));
    if (Math.fround(shorter) === value) return shorter;
  }
  return value;
}
