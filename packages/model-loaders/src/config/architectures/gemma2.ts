import type { GgufSizes } from '../../gguf/gguf-fields.js';
import { ggufRotary } from '../../gguf/gguf-rotary.js';
import type { Architecture } from '../architecture.js';
import type { DecoderLayout } from '../decoder-layout.js';
import { llamaLayout } from '../llama-layout.js';
import type { ModelConfig } from '../model-config.js';
import { given, readWindow } from '../read-sizes.js';
import { readRotary } from '../rotary-scaling.js';
import { readGemma } from './gemma.js';

/** Llama's layout with a norm behind attention and one behind the feed-forward layer, as Gemma 2 and 3 have. */
export function postNormLayout(config: ModelConfig): DecoderLayout {
  return {
    ...llamaLayout(config),
    norms: {
      attentionNorm: { module: 'input_layernorm' },
      attentionPostNorm: { module: 'post_attention_layernorm' },
      feedForwardNorm: { module: 'pre_feedforward_layernorm' },
      feedForwardPostNorm: { module: 'post_feedforward_layernorm' },
    },
  };
}

/** llama.cpp knows it by the number of layers: the greatest model of a generation scales by the width of the model over its heads. */
export function queryScalar(sizes: GgufSizes, layersOfGreatest: number): number {
  const { num_hidden_layers, hidden_size, num_attention_heads, head_dim } = sizes;
  return num_hidden_layers === layersOfGreatest ? hidden_size / num_attention_heads : head_dim;
}

/** Gemma 2 (arXiv 2408.00118): windows in every second layer, soft caps, norms before and behind. */
export const gemma2: Architecture = {
  name: 'gemma2',
  readConfig(fields) {
    const read = readGemma('gemma2', fields, { contextLength: 8192 });
    const window = fields.optionalSize('sliding_window', 4096);
    return {
      ...read,
      ...readRotary(fields, read),
      ...readWindow(fields, read.layers, window, (layer) => layer % 2 === 0),
      attentionScale: fields.positive('query_pre_attn_scalar', 256) ** -0.5,
      ...given({
        attentionSoftcap: fields.optionalPositive('attn_logit_softcapping', 50),
        logitSoftcap: fields.optionalPositive('final_logit_softcapping', 30),
      }),
    };
  },
  layout: postNormLayout,
  gguf: {
    name: 'gemma2',
    className: 'Gemma2ForCausalLM',
    configJson: (fields, sizes) => ({
      ...sizes,
      ...ggufRotary(fields, sizes),
      hidden_activation: 'gelu_pytorch_tanh',
      sliding_window: fields.size('attention.sliding_window', 4096),
      query_pre_attn_scalar: queryScalar(sizes, 46),
      attn_logit_softcapping: fields.decimal('attn_logit_softcapping', 50),
      final_logit_softcapping: fields.decimal('final_logit_softcapping', 30),
    }),
  },
};
