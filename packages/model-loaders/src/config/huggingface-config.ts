import { checkpointOf, OWN_QUANTIZATION_METHOD } from '../checkpoints/checkpoint-methods.js';
import { architectureOf } from './architectures.js';
import { ConfigFields } from './config-fields.js';
import { isJsonObject, type JsonObject } from './json-file.js';
import type { ModelConfig } from './model-config.js';

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

/** Refuses a model whose matrices nobody here reads; how others are stored, matters to those who read them. */
function refuseForeignQuantization(json: JsonObject, file: string): void {
  checkpointOf(json, file);
}
