import { ggufPartialRotary } from '../../gguf/gguf-rotary.js';
import { typed } from '../../gguf/gguf-typed-value.js';
import type { Architecture } from '../architecture.js';
import { llamaLayout } from '../llama-layout.js';
import { readSizes } from '../read-sizes.js';
import { readRotary } from '../rotary-scaling.js';

/** StableLM 3B and StableLM 2 (arXiv 2402.17834): Llama with LayerNorm and rotary embeddings of a part of each head. */
export const stablelm: Architecture = {
  name: 'stablelm',
  readConfig(fields) {
    fields.only('hidden_act', 'silu');
    fields.only('qk_layernorm', false);
    const sizes = readSizes('stablelm', fields, {
      contextLength: 4096,
      normEpsilonKey: 'layer_norm_eps',
      normEpsilon: 1e-5,
    });
    return {
      ...sizes,
      ...readRotary(fields, sizes, { partial: 0.25 }),
      norm: 'layer',
      ...(fields.boolean('use_parallel_residual', false) && { parallelResidual: true }),
      ...(fields.boolean('use_qkv_bias', false) && { queryKeyValueBias: true }),
    };
  },
  layout: (config) => ({
    ...llamaLayout(config),
    norms: {
      attentionNorm: { module: 'input_layernorm', bias: true },
      ...(!config.parallelResidual && {
        feedForwardNorm: { module: 'post_attention_layernorm', bias: true },
      }),
    },
    finalNorm: { module: 'model.norm', bias: true },
  }),
  gguf: {
    name: 'stablelm',
    className: 'StableLmForCausalLM',
    configJson: (fields, sizes) => ({
      ...sizes,
      ...ggufPartialRotary(fields, sizes),
      hidden_act: 'silu',
      // llama.cpp goes by the tensors.
      use_qkv_bias: fields.hasTensor('blk.0.attn_q.bias'),
      use_parallel_residual: !fields.hasTensor('blk.0.ffn_norm.weight'),
      qk_layernorm: fields.hasTensor('blk.0.attn_q_norm.weight'),
    }),
    metadata: ({ parallelResidual = false }) => ({ use_parallel_residual: typed.bool(parallelResidual) }),
  },
};
