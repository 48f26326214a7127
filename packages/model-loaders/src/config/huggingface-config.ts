import { UnsupportedError } from '@lbs/format';
import { architectureOf } from './architectures.js';
import { ConfigFields } from './config-fields.js';
import { describeValue, isJsonObject, type JsonObject } from './json-file.js';
import type { ModelConfig } from './model-config.js';

/** The quantization method of our own files; its tensors are checked by the package that reads them. */
const OWN_QUANTIZATION_METHOD = 'lbs';

/**
 * Reads a Hugging Face `config.json`. What it leaves out has the default that transformers gives the architecture. Throws
 * UnsupportedError for architectures and options that are not known and for foreign quantizations, and MalformedFileError.
 */
export function parseConfig(json: JsonObject, file: string): ModelConfig {
  const architecture = architectureOf(json['model_type'], file);
  refuseForeignQuantization(json, file);
  return architecture.readConfig(new ConfigFields((key) => json[key], file));
}

/** True for the config of a model that this toolkit quantized. */
export function isOwnQuantization(json: JsonObject): boolean {
  const quantization = json['quantization_config'];
  return isJsonObject(quantization) && quantization['quant_method'] === OWN_QUANTIZATION_METHOD;
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
