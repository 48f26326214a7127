import { ggufRotary } from '../../gguf/gguf-rotary.js';
import type { Architecture } from '../architecture.js';
import { llamaLayout } from '../llama-layout.js';
import { readBiases } from '../read-biases.js';
import { readSizes } from '../read-sizes.js';
import { readRotary } from '../rotary-scaling.js';

/** OLMo 2 (arXiv 2501.00656): norms behind attention and feed-forward layer in place of those before, and of all queries and all keys. */
export const olmo2: Architecture = {
  name: 'olmo2',
  readConfig(fields) {
    fields.only('hidden_act', 'silu');
    const sizes = readSizes('olmo2', fields, { normEpsilon: 1e-5 });
    return { ...sizes, ...readRotary(fields, sizes), ...readBiases(fields) };
  },
  layout: (config) => ({
    ...llamaLayout(config),
    norms: {
      queryNorm: { module: 'self_attn.q_norm' },
      keyNorm: { module: 'self_attn.k_norm' },
      attentionPostNorm: { module: 'post_attention_layernorm' },
      feedForwardPostNorm: { module: 'post_feedforward_layernorm' },
    },
  }),
  gguf: {
    name: 'olmo2',
    className: 'Olmo2ForCausalLM',
    configJson: (fields, sizes) => ({ ...sizes, ...ggufRotary(fields, sizes), hidden_act: 'silu' }),
  },
};
