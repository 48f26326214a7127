import { createRegistry, UnsupportedError } from '@lbs/format';
import { describeValue, isJsonObject, type JsonObject } from '../config/json-file.js';
import { awq } from './awq.js';
import { bitsandbytes } from './bitsandbytes.js';
import type { Checkpoint } from './checkpoint-method.js';
import { compressedTensors } from './compressed-tensors.js';
import { gptq } from './gptq.js';

/** The quantization methods of others whose models are read, dequantized. */
export const checkpointMethods = createRegistry('quantization method', [
  gptq,
  awq,
  compressedTensors,
  bitsandbytes,
]);

/** The quantization method of our own files; the package that computes on them reads their tensors. */
export const OWN_QUANTIZATION_METHOD = 'lbs';

/**
 * How the matrices of a model of others are stored, from the `quantization_config` of its config.json; undefined for a
 * model that is not quantized, or by this toolkit. Throws UnsupportedError for methods that are not known.
 */
export function checkpointOf(configJson: JsonObject, file: string): Checkpoint | undefined {
  const quantization = configJson['quantization_config'];
  if (quantization === undefined || quantization === null) return undefined;
  const method = isJsonObject(quantization) ? quantization['quant_method'] : quantization;
  if (method === OWN_QUANTIZATION_METHOD) return undefined;
  if (isJsonObject(quantization) && checkpointMethods.names.includes(method as string)) {
    return checkpointMethods.get(method as string).parse(quantization, file);
  }
  throw new UnsupportedError(`the model is quantized with ${describeValue(method)}`, {
    file,
    mend: `Choose the unquantized model, or one that is quantized with ${[OWN_QUANTIZATION_METHOD, ...checkpointMethods.names].join(', ')}.`,
  });
}
