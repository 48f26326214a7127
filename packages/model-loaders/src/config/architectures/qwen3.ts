import { ggufRotary } from '../../gguf/gguf-rotary.js';
import type { Architecture } from '../architecture.js';
import { llamaLayout, withHeadNorms } from '../llama-layout.js';
import { readBiases } from '../read-biases.js';
import { readSizes } from '../read-sizes.js';
import { readRotary } from '../rotary-scaling.js';
import { readQwenWindow } from './qwen2.js';

/** Qwen 3, dense (arXiv 2505.09388): Llama with norms of every query and key. */
export const qwen3: Architecture = {
  name: 'qwen3',
  readConfig(fields) {
    fields.only('hidden_act', 'silu');
    const sizes = readSizes('qwen3', fields, { contextLength: 32_768, headSize: 128 });
    return {
      ...sizes,
      ...readRotary(fields, sizes),
      ...readBiases(fields),
      ...readQwenWindow(fields, sizes.layers),
    };
  },
  layout: (config) => withHeadNorms(llamaLayout(config)),
  gguf: {
    name: 'qwen3',
    className: 'Qwen3ForCausalLM',
    configJson: (fields, sizes) => ({ ...sizes, ...ggufRotary(fields, sizes), hidden_act: 'silu' }),
  },
};
