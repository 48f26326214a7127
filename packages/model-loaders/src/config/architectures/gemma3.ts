import { ggufRotary } from '../../gguf/gguf-rotary.js';
import { typed } from '../../gguf/gguf-typed-value.js';
import type { Architecture } from '../architecture.js';
import { ConfigFields } from '../config-fields.js';
import { isJsonObject } from '../json-file.js';
import { withHeadNorms } from '../llama-layout.js';
import type { ModelConfig } from '../model-config.js';
import { given, readWindow } from '../read-sizes.js';
import { readRotary } from '../rotary-scaling.js';
import { readGemma } from './gemma.js';
import { postNormLayout, queryScalar } from './gemma2.js';

/** The rotary parameters of one type of layer, which transformers 5 has under the name of the type. */
function rotaryFields(fields: ConfigFields, type: string): ConfigFields {
  const all = fields.value('rope_parameters');
  const nested = isJsonObject(all) && isJsonObject(all[type]);
  return nested
    ? new ConfigFields((key) => (key === 'rope_parameters' ? all[type] : fields.value(key)), fields.file)
    : fields;
}

function readConfig(architecture: string, fields: ConfigFields): ModelConfig {
  // Published configs of the multimodal models say only what differs from these.
  const defaults = { contextLength: 131_072, heads: 8, keyValueHeads: 4, vocabularySize: 262_208 };
  const read = readGemma(architecture, fields, defaults);
  const window = fields.optionalSize('sliding_window', 4096);
  const pattern = fields.size('sliding_window_pattern', 6);
  const global = rotaryFields(fields, 'full_attention');
  const local = rotaryFields(fields, 'sliding_attention');
  const localRopeTheta =
    local === fields
      ? fields.positive('rope_local_base_freq', 10_000)
      : readRotary(local, read, { theta: 10_000 }).ropeTheta;
  return {
    ...read,
    ...readRotary(global, read, { theta: 1_000_000 }),
    ...readWindow(fields, read.layers, window, (layer) => (layer + 1) % pattern !== 0),
    localRopeTheta,
    attentionScale: fields.positive('query_pre_attn_scalar', 256) ** -0.5,
    ...given({
      attentionSoftcap: fields.optionalPositive('attn_logit_softcapping'),
      logitSoftcap: fields.optionalPositive('final_logit_softcapping'),
    }),
  };
}

/** Gemma 3, the text model (arXiv 2503.19786): five layers with windows and short wavelengths to one without. */
export const gemma3Text: Architecture = {
  name: 'gemma3_text',
  readConfig: (fields) => readConfig('gemma3_text', fields),
  layout: (config) => withHeadNorms(postNormLayout(config)),
  gguf: {
    name: 'gemma3',
    className: 'Gemma3ForCausalLM',
    configJson: (fields, sizes) => ({
      ...sizes,
      ...ggufRotary(fields, sizes),
      hidden_activation: 'gelu_pytorch_tanh',
      rope_local_base_freq: fields.decimal('rope.freq_base_swa', 10_000),
      sliding_window: fields.size('attention.sliding_window'),
      sliding_window_pattern: fields.optionalSize('attention.sliding_window_pattern', 6),
      query_pre_attn_scalar: queryScalar(sizes, 62),
    }),
    metadata({ slidingLayers = [] }) {
      // Every so manieth layer has no window.
      const period = slidingLayers.indexOf(false) + 1;
      return period === 0 ? {} : { 'attention.sliding_window_pattern': typed.uint32(period) };
    },
  },
};

/** The text model within Gemma 3 that sees images too. Its other tensors are left alone. */
export const gemma3: Architecture = {
  name: 'gemma3',
  readConfig(fields) {
    const text = fields.value('text_config');
    if (!isJsonObject(text)) throw fields.malformed('text_config', text, 'an object');
    const ofWhole = ['bos_token_id', 'eos_token_id', 'tie_word_embeddings'];
    return readConfig(
      'gemma3',
      new ConfigFields(
        (key) => (text[key] === undefined && ofWhole.includes(key) ? fields.value(key) : text[key]),
        fields.file,
      ),
    );
  },
  layout: gemma3Text.layout,
  tensorName: (name) =>
    name
      .replace(/^(language_model\.model|model\.language_model)\./, 'model.')
      .replace(/^language_model\.lm_head\./, 'lm_head.'),
  ggufAs: 'gemma3_text',
};
