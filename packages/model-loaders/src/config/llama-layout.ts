import type { DecoderLayout, LinearPlace } from './decoder-layout.js';
import type { ModelConfig } from './model-config.js';

/** The layout of Llama, which most architectures have with small changes. Biases are where the config says so. */
export function llamaLayout(config: ModelConfig): DecoderLayout {
  const { queryKeyValueBias = false, attentionOutputBias = false, feedForwardBias = false } = config;
  const linear = (module: string, bias: boolean): LinearPlace => ({ module, bias });
  return {
    embedding: 'model.embed_tokens',
    blocks: 'model.layers',
    linears: {
      query: linear('self_attn.q_proj', queryKeyValueBias),
      key: linear('self_attn.k_proj', queryKeyValueBias),
      value: linear('self_attn.v_proj', queryKeyValueBias),
      attentionOutput: linear('self_attn.o_proj', attentionOutputBias),
      gate: linear('mlp.gate_proj', feedForwardBias),
      up: linear('mlp.up_proj', feedForwardBias),
      down: linear('mlp.down_proj', feedForwardBias),
    },
    norms: {
      attentionNorm: { module: 'input_layernorm' },
      feedForwardNorm: { module: 'post_attention_layernorm' },
    },
    finalNorm: { module: 'model.norm' },
    head: { module: 'lm_head', bias: false },
  };
}

/** The layout with norms of each head of queries and keys, as Qwen 3 and Gemma 3 have them. */
export function withHeadNorms(layout: DecoderLayout): DecoderLayout {
  return {
    ...layout,
    norms: {
      ...layout.norms,
      queryNorm: { module: 'self_attn.q_norm', perHead: true },
      keyNorm: { module: 'self_attn.k_norm', perHead: true },
    },
  };
}
