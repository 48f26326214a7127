import type { Architecture } from '../architecture.js';
import { llamaLayout } from '../llama-layout.js';
import { given, readSizes } from '../read-sizes.js';
import { readRotary } from '../rotary-scaling.js';

/** Mistral (arXiv 2310.06825): Llama with a sliding window. llama.cpp stores it as Llama, which has none. */
export const mistral: Architecture = {
  name: 'mistral',
  readConfig(fields) {
    fields.only('hidden_act', 'silu');
    const sizes = readSizes('mistral', fields, { contextLength: 131_072, keyValueHeads: 8 });
    const slidingWindow = fields.optionalSize('sliding_window', 4096);
    return { ...sizes, ...readRotary(fields, sizes), ...given({ slidingWindow }) };
  },
  layout: llamaLayout,
  ggufAs: 'llama',
};
