import { ggufPartialRotary } from '../../gguf/gguf-rotary.js';
import type { Architecture } from '../architecture.js';
import { llamaLayout } from '../llama-layout.js';
import { readActivation, readSizes } from '../read-sizes.js';
import { readRotary } from '../rotary-scaling.js';

/** Phi 1 to 2: attention and feed-forward layer read the same LayerNorm; everything has a bias, the head too. */
export const phi: Architecture = {
  name: 'phi',
  readConfig(fields) {
    fields.only('qk_layernorm', false);
    const sizes = readSizes('phi', fields, { normEpsilonKey: 'layer_norm_eps', normEpsilon: 1e-5 });
    return {
      ...sizes,
      ...readRotary(fields, sizes, { partial: 0.5 }),
      ...readActivation(fields, 'hidden_act', 'gelu_new'),
      norm: 'layer',
      parallelResidual: true,
    };
  },
  layout: (config) => ({
    ...llamaLayout(config),
    linears: {
      query: { module: 'self_attn.q_proj', bias: true },
      key: { module: 'self_attn.k_proj', bias: true },
      value: { module: 'self_attn.v_proj', bias: true },
      attentionOutput: { module: 'self_attn.dense', bias: true },
      up: { module: 'mlp.fc1', bias: true },
      down: { module: 'mlp.fc2', bias: true },
    },
    norms: { attentionNorm: { module: 'input_layernorm', bias: true } },
    finalNorm: { module: 'model.final_layernorm', bias: true },
    head: { module: 'lm_head', bias: true },
  }),
  gguf: {
    name: 'phi2',
    className: 'PhiForCausalLM',
    configJson: (fields, sizes) => ({
      ...sizes,
      ...ggufPartialRotary(fields, sizes),
      hidden_act: 'gelu_new',
    }),
  },
};
