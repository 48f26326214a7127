import type { Architecture } from '../architecture.js';
import { ConfigFields } from '../config-fields.js';
import { consecutiveRows } from '../decoder-layout.js';
import { readActivation, readSizes } from '../read-sizes.js';

/** What GPT-2 calls the fields that others have. */
const keys: Readonly<Record<string, string>> = {
  hidden_size: 'n_embd',
  intermediate_size: 'n_inner',
  num_hidden_layers: 'n_layer',
  num_attention_heads: 'n_head',
  max_position_embeddings: 'n_positions',
};

/** GPT-2: learned positions, LayerNorm, one matrix for query, key and value, and matrices that are stored as [in, out]. */
export const gpt2: Architecture = {
  name: 'gpt2',
  readConfig(original) {
    const fields = new ConfigFields(
      (key) => original.value(key),
      original.file,
      (key) => (original.value(key) === undefined ? (keys[key] ?? key) : key),
    );
    fields.only('scale_attn_by_inverse_layer_idx', false);
    fields.only('add_cross_attention', false);
    const sizes = readSizes('gpt2', fields, {
      contextLength: 1024,
      normEpsilonKey: 'layer_norm_epsilon',
      normEpsilon: 1e-5,
      tiedEmbeddings: true,
      intermediateSize: (hiddenSize) => 4 * hiddenSize,
    });
    return {
      ...sizes,
      ...readActivation(fields, 'activation_function', 'gelu_new'),
      ropeTheta: 10_000,
      rotarySize: 0,
      positionOffset: 0,
      norm: 'layer',
      ...(fields.boolean('scale_attn_weights', true) ? {} : { attentionScale: 1 }),
    };
  },
  layout({ heads, headSize }) {
    const width = heads * headSize;
    const [query, key, value] = consecutiveRows(width, width, width);
    const fused = (rows: typeof query) => ({ module: 'attn.c_attn', bias: true, rows: rows! });
    return {
      embedding: 'transformer.wte',
      positions: 'transformer.wpe',
      blocks: 'transformer.h',
      linears: {
        query: fused(query),
        key: fused(key),
        value: fused(value),
        attentionOutput: { module: 'attn.c_proj', bias: true },
        up: { module: 'mlp.c_fc', bias: true },
        down: { module: 'mlp.c_proj', bias: true },
      },
      norms: {
        attentionNorm: { module: 'ln_1', bias: true },
        feedForwardNorm: { module: 'ln_2', bias: true },
      },
      finalNorm: { module: 'transformer.ln_f', bias: true },
      head: { module: 'lm_head', bias: false },
      isTransposed: true,
    };
  },
  // The first checkpoints hold the model without its head.
  tensorName: (name) => (/^(wte|wpe|h|ln_f)\./.test(name) ? `transformer.${name}` : name),
  gguf: {
    name: 'gpt2',
    className: 'GPT2LMHeadModel',
    configJson(_, { layer_norm_eps, ...sizes }) {
      const renamed = Object.entries(sizes).map(([key, value]) => [keys[key] ?? key, value]);
      return {
        ...Object.fromEntries(renamed),
        layer_norm_epsilon: layer_norm_eps,
        activation_function: 'gelu_new',
      };
    },
  },
};
