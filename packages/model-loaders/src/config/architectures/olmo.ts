import { ggufRotary } from '../../gguf/gguf-rotary.js';
import type { Architecture } from '../architecture.js';
import { llamaLayout } from '../llama-layout.js';
import { readBiases } from '../read-biases.js';
import { given, readSizes } from '../read-sizes.js';
import { readRotary } from '../rotary-scaling.js';

/** OLMo 1 (arXiv 2402.00838): Llama with LayerNorm that has no weights. */
export const olmo: Architecture = {
  name: 'olmo',
  readConfig(fields) {
    fields.only('hidden_act', 'silu');
    const sizes = readSizes('olmo', fields, { normEpsilonKey: 'layer_norm_eps', normEpsilon: 1e-5 });
    return {
      ...sizes,
      ...readRotary(fields, sizes),
      ...readBiases(fields),
      norm: 'layer',
      ...given({ attentionClip: fields.optionalPositive('clip_qkv') }),
    };
  },
  layout: (config) => ({
    ...llamaLayout(config),
    norms: { attentionNorm: {}, feedForwardNorm: {} },
    finalNorm: {},
  }),
  gguf: {
    name: 'olmo',
    className: 'OlmoForCausalLM',
    hasPairedRows: true,
    configJson: (fields, sizes) => ({
      ...sizes,
      ...ggufRotary(fields, sizes),
      hidden_act: 'silu',
      clip_qkv: fields.optionalDecimal('attention.clamp_kqv') ?? null,
    }),
  },
};
