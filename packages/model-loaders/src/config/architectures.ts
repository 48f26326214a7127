import { UnsupportedError } from '@lbs/format';
import type { Architecture } from './architecture.js';
import { gemma } from './architectures/gemma.js';
import { gemma2 } from './architectures/gemma2.js';
import { gemma3, gemma3Text } from './architectures/gemma3.js';
import { gptNeoX } from './architectures/gpt-neox.js';
import { gpt2 } from './architectures/gpt2.js';
import { granite } from './architectures/granite.js';
import { llama } from './architectures/llama.js';
import { mistral } from './architectures/mistral.js';
import { olmo } from './architectures/olmo.js';
import { olmo2 } from './architectures/olmo2.js';
import { opt } from './architectures/opt.js';
import { phi } from './architectures/phi.js';
import { phi3 } from './architectures/phi3.js';
import { qwen2 } from './architectures/qwen2.js';
import { qwen3 } from './architectures/qwen3.js';
import { smollm3 } from './architectures/smollm3.js';
import { stablelm } from './architectures/stablelm.js';
import { type DecoderLayout, tensorShapesOf } from './decoder-layout.js';
import { describeValue } from './json-file.js';
import type { ModelConfig } from './model-config.js';

const declared: readonly Architecture[] = [
  gemma,
  gemma2,
  gemma3,
  gemma3Text,
  gptNeoX,
  gpt2,
  granite,
  llama,
  mistral,
  olmo,
  olmo2,
  opt,
  phi,
  phi3,
  qwen2,
  qwen3,
  smollm3,
  stablelm,
];

const byName = new Map(declared.map((architecture) => [architecture.name, architecture]));

/** The architectures that are known, by the names that config.json uses for them. */
export const architectureNames: readonly string[] = [...byName.keys()].sort();

/** The declaration of an architecture. Throws UnsupportedError that lists the known ones. */
export function architectureOf(name: unknown, file: string): Architecture {
  const architecture = typeof name === 'string' ? byName.get(name) : undefined;
  if (architecture) return architecture;
  throw new UnsupportedError(`model_type is ${describeValue(name)}`, {
    file,
    mend: `Known: ${architectureNames.join(', ')}. What is missing is a declaration of its config and tensors.`,
  });
}

/** The architecture whose models llama.cpp stores under a name. Throws UnsupportedError that lists the known ones. */
export function architectureOfGguf(name: unknown, file: string): Architecture {
  const stored = declared.filter(({ gguf }) => gguf);
  const architecture = stored.find(({ gguf }) => gguf!.name === name);
  if (architecture) return architecture;
  const known = stored.map(({ gguf }) => gguf!.name).sort();
  throw new UnsupportedError(`general.architecture is ${describeValue(name)}`, {
    file,
    mend: `Known: ${known.join(', ')}. Choose a model of such an architecture, or its Hugging Face directory.`,
  });
}

/** Where the weights of a model are. */
export function layoutOf(config: ModelConfig): DecoderLayout {
  return architectureOf(config.architecture, 'the config').layout(config);
}

/** Names and shapes of the tensors that a model needs, as Hugging Face has them, matrices as [out, in]. */
export function tensorShapes(config: ModelConfig): ReadonlyMap<string, readonly number[]> {
  return tensorShapesOf(config, layoutOf(config));
}
