import type { ConfigFields } from './config-fields.js';
import type { ModelConfig } from './model-config.js';

/** The biases that `attention_bias` and `mlp_bias` stand for, in Llama and its kin. */
export function readBiases(
  fields: ConfigFields,
): Pick<ModelConfig, 'queryKeyValueBias' | 'attentionOutputBias' | 'feedForwardBias'> {
  return {
    ...(fields.boolean('attention_bias', false) && { queryKeyValueBias: true, attentionOutputBias: true }),
    ...(fields.boolean('mlp_bias', false) && { feedForwardBias: true }),
  };
}
