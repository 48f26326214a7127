import { ggufPartialRotary } from '../../gguf/gguf-rotary.js';
import { typed } from '../../gguf/gguf-typed-value.js';
import type { Architecture } from '../architecture.js';
import { ConfigFields } from '../config-fields.js';
import { readActivation, readSizes } from '../read-sizes.js';
import { readRotary } from '../rotary-scaling.js';

/** What GPT-NeoX calls the fields that others have. */
const keys: Readonly<Record<string, string>> = {
  partial_rotary_factor: 'rotary_pct',
  rope_theta: 'rotary_emb_base',
};

/** GPT-NeoX and Pythia (arXiv 2204.06745, 2304.01373): parallel branches; one matrix with query, key and value of head after head. */
export const gptNeoX: Architecture = {
  name: 'gpt_neox',
  readConfig(original) {
    const fields = new ConfigFields(
      (key) => original.value(key),
      original.file,
      (key) => keys[key] ?? key,
    );
    const sizes = readSizes('gpt_neox', fields, { normEpsilonKey: 'layer_norm_eps', normEpsilon: 1e-5 });
    const attentionBias = fields.boolean('attention_bias', true);
    return {
      ...sizes,
      ...readRotary(fields, sizes, { partial: 0.25 }),
      ...readActivation(fields, 'hidden_act', 'gelu'),
      norm: 'layer',
      ...(fields.boolean('use_parallel_residual', true) && { parallelResidual: true }),
      ...(attentionBias && { queryKeyValueBias: true, attentionOutputBias: true }),
    };
  },
  layout({ heads, headSize, queryKeyValueBias = false, attentionOutputBias = false }) {
    const fused = (part: number) => ({
      module: 'attention.query_key_value',
      bias: queryKeyValueBias,
      rows: { first: part * headSize, length: headSize, count: heads, step: 3 * headSize },
    });
    return {
      embedding: 'gpt_neox.embed_in',
      blocks: 'gpt_neox.layers',
      linears: {
        query: fused(0),
        key: fused(1),
        value: fused(2),
        attentionOutput: { module: 'attention.dense', bias: attentionOutputBias },
        up: { module: 'mlp.dense_h_to_4h', bias: true },
        down: { module: 'mlp.dense_4h_to_h', bias: true },
      },
      norms: {
        attentionNorm: { module: 'input_layernorm', bias: true },
        feedForwardNorm: { module: 'post_attention_layernorm', bias: true },
      },
      finalNorm: { module: 'gpt_neox.final_layer_norm', bias: true },
      head: { module: 'embed_out', bias: false },
    };
  },
  // What transformers 5 calls the head.
  tensorName: (name) => name.replace(/^lm_head\./, 'embed_out.'),
  gguf: {
    name: 'gptneox',
    className: 'GPTNeoXForCausalLM',
    configJson(fields, sizes) {
      const { partial_rotary_factor, rope_theta, ...rest } = ggufPartialRotary(fields, sizes);
      return {
        ...sizes,
        ...rest,
        rotary_pct: partial_rotary_factor,
        rotary_emb_base: rope_theta,
        hidden_act: 'gelu',
        use_parallel_residual: fields.boolean('use_parallel_residual', true),
      };
    },
    metadata: ({ parallelResidual = false }) => ({ use_parallel_residual: typed.bool(parallelResidual) }),
  },
};
