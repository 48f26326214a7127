import { ggufRotary } from '../../gguf/gguf-rotary.js';
import type { Architecture } from '../architecture.js';
import type { ConfigFields } from '../config-fields.js';
import { llamaLayout } from '../llama-layout.js';
import { readSizes, readWindow } from '../read-sizes.js';
import { readRotary } from '../rotary-scaling.js';

/** The window of the layers from `max_window_layers` on, in Qwen 2 and 3. */
export function readQwenWindow(fields: ConfigFields, layers: number) {
  const isUsed = fields.boolean('use_sliding_window', false);
  const first = isUsed ? fields.count('max_window_layers', 28) : 0;
  return readWindow(
    fields,
    layers,
    isUsed ? fields.optionalSize('sliding_window', 4096) : undefined,
    (layer) => layer >= first,
  );
}

/** Qwen 1.5, 2 and 2.5 (arXiv 2407.10671): Llama with biases of query, key and value. */
export const qwen2: Architecture = {
  name: 'qwen2',
  readConfig(fields) {
    fields.only('hidden_act', 'silu');
    const sizes = readSizes('qwen2', fields, { contextLength: 32_768 });
    return {
      ...sizes,
      ...readRotary(fields, sizes),
      ...readQwenWindow(fields, sizes.layers),
      queryKeyValueBias: true,
    };
  },
  layout: llamaLayout,
  gguf: {
    name: 'qwen2',
    className: 'Qwen2ForCausalLM',
    configJson: (fields, sizes) => ({ ...sizes, ...ggufRotary(fields, sizes), hidden_act: 'silu' }),
  },
};
