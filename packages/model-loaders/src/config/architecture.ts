import type { GgufDeclaration } from '../gguf/gguf-declaration.js';
import type { ConfigFields } from './config-fields.js';
import type { DecoderLayout } from './decoder-layout.js';
import type { ModelConfig } from './model-config.js';

/**
 * A family of decoder-only transformers as a declaration: how its config.json is read and where its weights are. The decoder
 * computes what the config says, with the weights that the layout names; it never asks for the family.
 */
export interface Architecture {
  /** `model_type` of config.json. */
  readonly name: string;
  /** Reads a config.json. Throws UnsupportedError for what the decoder cannot do, and MalformedFileError. */
  readConfig(fields: ConfigFields): ModelConfig;
  layout(config: ModelConfig): DecoderLayout;
  /** The name of a tensor where some checkpoints have it under another. */
  tensorName?(name: string): string;
  readonly gguf?: GgufDeclaration;
  /** Name of the architecture as which llama.cpp stores such a model, where it has no name of its own for it. */
  readonly ggufAs?: string;
}
