import { ggufRotary } from '../../gguf/gguf-rotary.js';
import type { Architecture } from '../architecture.js';
import { llamaLayout } from '../llama-layout.js';
import { readBiases } from '../read-biases.js';
import { readSizes } from '../read-sizes.js';
import { readRotary } from '../rotary-scaling.js';

/** Llama 1 to 3, SmolLM 1 and 2, and many others (arXiv 2302.13971, 2407.21783). */
export const llama: Architecture = {
  name: 'llama',
  readConfig(fields) {
    fields.only('hidden_act', 'silu');
    const sizes = readSizes('llama', fields);
    return { ...sizes, ...readRotary(fields, sizes), ...readBiases(fields) };
  },
  layout: llamaLayout,
  gguf: {
    name: 'llama',
    className: 'LlamaForCausalLM',
    hasPairedRows: true,
    configJson(fields, sizes) {
      fields.only('expert_count', 0);
      return {
        ...sizes,
        ...ggufRotary(fields, sizes),
        hidden_act: 'silu',
        attention_bias: false,
        mlp_bias: false,
      };
    },
  },
};
