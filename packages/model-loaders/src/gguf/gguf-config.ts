import { UnsupportedError } from '@lbs/format';
import { ConfigFields } from '../config/config-fields.js';
import { describeValue } from '../config/json-file.js';
import type { ModelConfig } from '../config/model-config.js';
import type { GgufReader } from './gguf.js';

/**
 * Reads the config of a model from the metadata of its GGUF file (`llama.*`). Throws UnsupportedError for other
 * architectures and scaled rotary embeddings, and MalformedFileError.
 */
export function parseGgufConfig(
  { metadata, tensors }: Pick<GgufReader, 'metadata' | 'tensors'>,
  file: string,
): ModelConfig {
  const architecture = metadata.get('general.architecture');
  if (architecture !== 'llama') {
    const problem = `general.architecture is ${describeValue(architecture)}`;
    throw new UnsupportedError(problem, { file, mend: 'Known: llama. Choose a model of that architecture.' });
  }
  const fields = new ConfigFields((key) => metadata.get(key), file);
  const hiddenSize = fields.size('llama.embedding_length');
  const heads = fields.size('llama.attention.head_count');
  const keyValueHeads = fields.size('llama.attention.head_count_kv', heads);
  if (heads % keyValueHeads !== 0) {
    throw fields.malformed(
      'llama.attention.head_count_kv',
      keyValueHeads,
      `a divisor of ${heads} attention heads`,
    );
  }
  const headSize = fields.size('llama.attention.key_length', hiddenSize / heads);
  if (headSize % 2 !== 0)
    throw fields.malformed('llama.attention.key_length', headSize, 'even, as rotary embeddings need');
  refuseOther(metadata, file, 'llama.attention.value_length', headSize);
  refuseOther(metadata, file, 'llama.rope.dimension_count', headSize);
  refuseOther(metadata, file, 'llama.rope.scaling.type', 'none');
  refuseOther(metadata, file, 'llama.expert_count', 0);
  if (tensors.has('rope_freqs.weight')) {
    throw new UnsupportedError('the rotary embeddings are scaled', {
      file,
      tensor: 'rope_freqs.weight',
      mend: 'Choose a model without long-context scaling.',
    });
  }
  const tokens = metadata.get('tokenizer.ggml.tokens');
  const beginningOfSequence = fields.token('tokenizer.ggml.bos_token_id');
  const endOfSequence = fields.token('tokenizer.ggml.eos_token_id');
  return {
    architecture,
    hiddenSize,
    intermediateSize: fields.size('llama.feed_forward_length'),
    layers: fields.layers('llama.block_count'),
    heads,
    keyValueHeads,
    headSize,
    vocabularySize: fields.size('llama.vocab_size', Array.isArray(tokens) ? tokens.length : undefined),
    contextLength: fields.size('llama.context_length'),
    normEpsilon: shortestFloat32(fields.positive('llama.attention.layer_norm_rms_epsilon')),
    ropeTheta: shortestFloat32(fields.positive('llama.rope.freq_base', 10_000)),
    tiedEmbeddings: !tensors.has('output.weight'),
    ...(beginningOfSequence === undefined ? {} : { beginningOfSequence }),
    ...(endOfSequence === undefined ? {} : { endOfSequence }),
  };
}

function refuseOther(
  metadata: GgufReader['metadata'],
  file: string,
  key: string,
  known: string | number,
): void {
  const value = metadata.get(key) ?? known;
  if (value === known) return;
  throw new UnsupportedError(`${key} is ${String(value)}`, { file, mend: `Known: ${known}.` });
}

/** The shortest decimal that means this float32: 1e-5, and not 9.999999747378752e-6, as the publisher wrote it. */
function shortestFloat32(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const shorter = Number(value.toPrecision(digits));
    if (Math.fround(shorter) === value) return shorter;
  }
  return value;
}
