import { ggufRotary } from '../../gguf/gguf-rotary.js';
import { typed } from '../../gguf/gguf-typed-value.js';
import type { Architecture } from '../architecture.js';
import { llamaLayout } from '../llama-layout.js';
import { readBiases } from '../read-biases.js';
import { readSizes } from '../read-sizes.js';
import { readRotary } from '../rotary-scaling.js';

/** Granite 3, dense: Llama with factors on embeddings, attention scores, branches and logits (as in arXiv 2203.03466). */
export const granite: Architecture = {
  name: 'granite',
  readConfig(fields) {
    fields.only('hidden_act', 'silu');
    const sizes = readSizes('granite', fields);
    return {
      ...sizes,
      ...readRotary(fields, sizes),
      ...readBiases(fields),
      embeddingScale: fields.positive('embedding_multiplier', 1),
      attentionScale: fields.positive('attention_multiplier', 1),
      residualScale: fields.positive('residual_multiplier', 1),
      logitScale: 1 / fields.positive('logits_scaling', 1),
    };
  },
  layout: llamaLayout,
  gguf: {
    name: 'granite',
    className: 'GraniteForCausalLM',
    hasPairedRows: true,
    configJson: (fields, sizes) => ({
      ...sizes,
      ...ggufRotary(fields, sizes),
      hidden_act: 'silu',
      embedding_multiplier: fields.decimal('embedding_scale', 1),
      attention_multiplier: fields.decimal('attention.scale', sizes.head_dim ** -0.5),
      residual_multiplier: fields.decimal('residual_scale', 1),
      logits_scaling: fields.decimal('logit_scale', 1),
    }),
    metadata: ({ embeddingScale = 1, attentionScale = 1, residualScale = 1, logitScale = 1 }) => ({
      embedding_scale: typed.float32(embeddingScale),
      'attention.scale': typed.float32(attentionScale),
      residual_scale: typed.float32(residualScale),
      logit_scale: typed.float32(1 / logitScale),
    }),
  },
};
