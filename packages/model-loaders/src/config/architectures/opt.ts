import type { Architecture } from '../architecture.js';
import { ConfigFields } from '../config-fields.js';
import { readActivation, readSizes } from '../read-sizes.js';

/** OPT (arXiv 2205.01068): learned positions from row 2 on, LayerNorm, ReLU. Of its sizes, 350M is built otherwise. */
export const opt: Architecture = {
  name: 'opt',
  readConfig(original) {
    const fields = new ConfigFields(
      (key) => original.value(key),
      original.file,
      (key) => (key === 'intermediate_size' ? 'ffn_dim' : key),
    );
    fields.only('do_layer_norm_before', true);
    fields.only('layer_norm_elementwise_affine', true);
    fields.only('_remove_final_layer_norm', false);
    const sizes = readSizes('opt', fields, {
      normEpsilonKey: 'layer_norm_eps',
      normEpsilon: 1e-5,
      tiedEmbeddings: true,
    });
    fields.only('word_embed_proj_dim', sizes.hiddenSize);
    const bias = fields.boolean('enable_bias', true);
    return {
      ...sizes,
      ...readActivation(fields, 'activation_function', 'relu'),
      ropeTheta: 10_000,
      rotarySize: 0,
      positionOffset: 2,
      norm: 'layer',
      ...(bias && { queryKeyValueBias: true, attentionOutputBias: true, feedForwardBias: true }),
    };
  },
  layout({ queryKeyValueBias: bias = false }) {
    const linear = (module: string) => ({ module, bias });
    return {
      embedding: 'model.decoder.embed_tokens',
      positions: 'model.decoder.embed_positions',
      blocks: 'model.decoder.layers',
      linears: {
        query: linear('self_attn.q_proj'),
        key: linear('self_attn.k_proj'),
        value: linear('self_attn.v_proj'),
        attentionOutput: linear('self_attn.out_proj'),
        up: linear('fc1'),
        down: linear('fc2'),
      },
      norms: {
        attentionNorm: { module: 'self_attn_layer_norm', bias: true },
        feedForwardNorm: { module: 'final_layer_norm', bias: true },
      },
      finalNorm: { module: 'model.decoder.final_layer_norm', bias: true },
      head: { module: 'lm_head', bias: false },
    };
  },
  tensorName: (name) => (name.startsWith('decoder.') ? `model.${name}` : name),
};
