import { UnsupportedError } from '@lbs/format';
import { ConfigFields } from './config-fields.js';
import { describeValue, isJsonObject, type JsonObject } from './json-file.js';
import type { ModelConfig } from './model-config.js';

/** The quantization method of our own files; its tensors are checked by the package that reads them. */
const OWN_QUANTIZATION_METHOD = 'lbs';

/**
 * Reads a Hugging Face `config.json`. What it leaves out has the default of transformers' LlamaConfig. Throws
 * UnsupportedError for other architectures, biases, scaled rotary embeddings and foreign quantizations, and
 * MalformedFileError.
 */
export function parseConfig(json: JsonObject, file: string): ModelConfig {
  const modelType = json['model_type'];
  if (modelType !== 'llama') {
    throw new UnsupportedError(`model_type is ${describeValue(modelType)}`, {
      file,
      mend: 'Known: llama. Choose a model of that architecture.',
    });
  }
  const rope = ropeOf(json, file);
  refuseOther(json, file, 'attention_bias', [false]);
  refuseOther(json, file, 'mlp_bias', [false]);
  refuseOther(json, file, 'hidden_act', ['silu']);
  refuseOther(json, file, 'partial_rotary_factor', [1]);
  refuseForeignQuantization(json, file);

  const fields = new ConfigFields((key) => json[key], file);
  const hiddenSize = fields.size('hidden_size');
  const heads = fields.size('num_attention_heads');
  const keyValueHeads = fields.size('num_key_value_heads', heads);
  if (heads % keyValueHeads !== 0) {
    throw fields.malformed('num_key_value_heads', keyValueHeads, `a divisor of ${heads} attention heads`);
  }
  const headSize = fields.size('head_dim', hiddenSize / heads);
  if (headSize % 2 !== 0) throw fields.malformed('head_dim', headSize, 'even, as rotary embeddings need');
  const beginningOfSequence = fields.token('bos_token_id');
  const endOfSequence = fields.token('eos_token_id');
  return {
    architecture: 'llama',
    hiddenSize,
    intermediateSize: fields.size('intermediate_size'),
    layers: fields.layers('num_hidden_layers'),
    heads,
    keyValueHeads,
    headSize,
    vocabularySize: fields.size('vocab_size'),
    contextLength: fields.size('max_position_embeddings', 2048),
    normEpsilon: fields.positive('rms_norm_eps', 1e-6),
    ropeTheta: rope.positive('rope_theta', 10_000),
    tiedEmbeddings: fields.boolean('tie_word_embeddings', false),
    ...(beginningOfSequence === undefined ? {} : { beginningOfSequence }),
    ...(endOfSequence === undefined ? {} : { endOfSequence }),
  };
}

/** True for the config of a model that this toolkit quantized. */
export function isOwnQuantization(json: JsonObject): boolean {
  const quantization = json['quantization_config'];
  return isJsonObject(quantization) && quantization['quant_method'] === OWN_QUANTIZATION_METHOD;
}

/** `rope_parameters` took the place of `rope_theta` and `rope_scaling` in transformers 5. */
function ropeOf(json: JsonObject, file: string): ConfigFields {
  for (const key of ['rope_scaling', 'rope_parameters']) {
    const parameters = json[key];
    if (parameters === undefined || parameters === null) continue;
    const type = isJsonObject(parameters) ? (parameters['rope_type'] ?? parameters['type']) : undefined;
    if (type !== 'default') {
      throw new UnsupportedError(`${key} asks for rotary embeddings of type ${describeValue(type)}`, {
        file,
        mend: 'Only plain rotary embeddings are known; choose a model without long-context scaling.',
      });
    }
  }
  const parameters = json['rope_parameters'];
  return new ConfigFields(
    (key) => (isJsonObject(parameters) ? parameters[key] : undefined) ?? json[key],
    file,
  );
}

function refuseOther(json: JsonObject, file: string, key: string, known: readonly unknown[]): void {
  const value = json[key] ?? known[0];
  if (known.includes(value)) return;
  throw new UnsupportedError(`${key} is ${describeValue(value)}`, {
    file,
    mend: `Known: ${known.join(', ')}.`,
  });
}

function refuseForeignQuantization(json: JsonObject, file: string): void {
  const quantization = json['quantization_config'];
  if (quantization === undefined || quantization === null || isOwnQuantization(json)) return;
  const method = isJsonObject(quantization) ? quantization['quant_method'] : quantization;
  throw new UnsupportedError(`the model is quantized with ${describeValue(method)}`, {
    file,
    mend: `Choose the unquantized model, or one that is quantized with "${OWN_QUANTIZATION_METHOD}".`,
  });
}
