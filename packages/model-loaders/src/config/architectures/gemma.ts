import { ggufRotary } from '../../gguf/gguf-rotary.js';
import type { Architecture } from '../architecture.js';
import type { ConfigFields } from '../config-fields.js';
import { llamaLayout } from '../llama-layout.js';
import type { ModelConfig } from '../model-config.js';
import { readBiases } from '../read-biases.js';
import { type ModelSizes, readSizes, type SizeDefaults } from '../read-sizes.js';
import { readRotary } from '../rotary-scaling.js';

/**
 * What all Gemmas have: norms whose weights are stored less 1, embeddings scaled by the root of their width, and GELU by its tanh
 * approximation, which the first release called `gelu`.
 */
export function readGemma(
  architecture: string,
  fields: ConfigFields,
  defaults: SizeDefaults,
): ModelSizes & Pick<ModelConfig, 'normOffset' | 'embeddingScale' | 'activation'> {
  for (const key of ['hidden_act', 'hidden_activation']) {
    fields.oneOf(key, ['gelu_pytorch_tanh', 'gelu'], 'gelu_pytorch_tanh');
  }
  fields.only('use_bidirectional_attention', false);
  const sizes = readSizes(architecture, fields, { headSize: 256, tiedEmbeddings: true, ...defaults });
  return {
    ...sizes,
    ...readBiases(fields),
    normOffset: 1,
    embeddingScale: Math.sqrt(sizes.hiddenSize),
    activation: 'geluTanh',
  };
}

/** Gemma 1 (arXiv 2403.08295). */
export const gemma: Architecture = {
  name: 'gemma',
  readConfig(fields) {
    const read = readGemma('gemma', fields, { contextLength: 8192 });
    return { ...read, ...readRotary(fields, read) };
  },
  layout: llamaLayout,
  gguf: {
    name: 'gemma',
    className: 'GemmaForCausalLM',
    configJson: (fields, sizes) => ({
      ...sizes,
      ...ggufRotary(fields, sizes),
      hidden_act: 'gelu_pytorch_tanh',
    }),
  },
};
