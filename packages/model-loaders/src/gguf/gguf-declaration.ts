import type { JsonObject } from '../config/json-file.js';
import type { ModelConfig } from '../config/model-config.js';
import type { GgufFields, GgufSizes } from './gguf-fields.js';
import type { GgufTypedValue } from './gguf-typed-value.js';

/** How llama.cpp stores models of an architecture. */
export interface GgufDeclaration {
  /** `general.architecture`, the prefix of the metadata keys. */
  readonly name: string;
  /** The class that config.json names. */
  readonly className: string;
  /**
   * Whether the two rows of query and key that the rotary embedding turns together are stored side by side. Hugging Face pairs
   * row i of a head with row i + headSize / 2.
   */
  readonly hasPairedRows?: boolean;
  /**
   * The config.json beside the names of architecture and class. Throws UnsupportedError for what the decoder cannot do, and
   * MalformedFileError.
   */
  configJson(fields: GgufFields, sizes: GgufSizes): JsonObject;
  /** What files have of a config beside the keys that are the same for all architectures, without the architecture's name. */
  metadata?(config: ModelConfig): Readonly<Record<string, GgufTypedValue>>;
}
