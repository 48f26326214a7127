import { type GgufModelOptions, ggufOfModel } from '../gguf/gguf-of-model.js';
import type { ModelSource } from '../model/model-source.js';
import { writeGgufFile } from './write-gguf-file.js';
import type { WriteProgress } from './write-safetensors.js';

/** How a model is written as a GGUF file. */
export interface WriteGgufOptions extends GgufModelOptions {
  readonly onProgress?: ((progress: WriteProgress) => void) | undefined;
}

/** A GGUF file that was written. */
export interface WrittenGguf {
  /** Size of the file. */
  readonly bytes: number;
  readonly tensors: number;
  /** What was lost, or other than it was asked for: sentences for the user. */
  readonly warnings: readonly string[];
}

/**
 * Writes a model as a GGUF file that llama.cpp and `openModel` read. The file appears whole or not at all. Throws as
 * `ggufOfModel` and `writeGgufFile`.
 */
export async function writeGguf(
  path: string,
  model: ModelSource,
  { onProgress, ...options }: WriteGgufOptions,
): Promise<WrittenGguf> {
  const { metadata, tensors, warnings } = await ggufOfModel(model, options);
  const bytes = await writeGgufFile(path, metadata, tensors, { signal: options.signal, onProgress });
  return { bytes, tensors: tensors.length, warnings };
}
