import { MalformedFileError } from '@lbs/format';
import { architectureOfGguf } from '../config/architectures.js';
import { parseConfig } from '../config/huggingface-config.js';
import type { JsonObject } from '../config/json-file.js';
import type { ModelConfig } from '../config/model-config.js';
import type { CancelOptions } from '../sources/random-access-source.js';
import type { GgufReader } from './gguf.js';
import { GgufFields, readGgufSizes } from './gguf-fields.js';
import { withRotaryFactors } from './gguf-rotary.js';

/** Heads have some hundred dimensions; the factors are read before anything else is known to fit. */
const MAX_FACTOR_BYTES = 2 ** 16;

/** What is read of a GGUF file for its config. */
export type GgufConfigSource = Pick<GgufReader, 'metadata' | 'tensors' | 'readFloat32'>;

/**
 * The config.json that says what the metadata of a GGUF file say. Factors of rotary frequencies are read from their tensors.
 * Throws UnsupportedError for architectures and options that are not known, MalformedFileError and FileAccessError.
 */
export async function configJsonOfGguf(
  gguf: GgufConfigSource,
  file: string,
  options: CancelOptions = {},
): Promise<JsonObject> {
  const architecture = architectureOfGguf(gguf.metadata.get('general.architecture'), file);
  const declaration = architecture.gguf!;
  const fields = new GgufFields(gguf, declaration.name, file);
  const json = {
    architectures: [declaration.className],
    model_type: architecture.name,
    ...declaration.configJson(fields, readGgufSizes(fields)),
  };
  return withRotaryFactors(json, fields, (tensor) => {
    const { byteLength } = gguf.tensors.get(tensor)!;
    if (byteLength <= MAX_FACTOR_BYTES) return gguf.readFloat32(tensor, options);
    throw new MalformedFileError(`the factors of rotary frequencies have ${byteLength} bytes`, {
      file,
      tensor,
      mend: 'Convert the model again.',
    });
  });
}

/** The config of the model in a GGUF file; throws what `configJsonOfGguf` throws. */
export async function parseGgufConfig(gguf: GgufConfigSource, file: string): Promise<ModelConfig> {
  return parseConfig(await configJsonOfGguf(gguf, file), file);
}
