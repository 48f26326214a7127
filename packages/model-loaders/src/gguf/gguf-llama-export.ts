import { layoutOf } from '../config/architectures.js';
import type { ModelConfig } from '../config/model-config.js';
import { huggingFaceTensorName } from './gguf-tensors.js';
import { type GgufTypedValue, typed } from './gguf-typed-value.js';

/** How a model of an architecture is written for llama.cpp. */
export interface GgufArchitecture {
  /** `general.architecture`. */
  readonly name: string;
  /** What the config says, by metadata key. */
  metadata(config: ModelConfig): ReadonlyMap<string, GgufTypedValue>;
  /** Names in the file of the tensors that the model can have, by their names of Hugging Face. */
  tensorNames(config: ModelConfig): ReadonlyMap<string, string>;
  /** For each row of the file the row of Hugging Face that it is; undefined where it is the same. */
  rowOrder(name: string, rows: number, config: ModelConfig): Uint32Array | undefined;
}

const modelParts = ['token_embd', 'output_norm', 'output'];
const blockParts = [
  'attn_norm',
  'attn_q',
  'attn_k',
  'attn_v',
  'attn_output',
  'ffn_norm',
  'ffn_gate',
  'ffn_up',
  'ffn_down',
];

export const llamaExport: GgufArchitecture = {
  name: 'llama',
  metadata: (config) =>
    new Map([
      ['llama.block_count', typed.uint32(config.layers)],
      ['llama.context_length', typed.uint32(config.contextLength)],
      ['llama.embedding_length', typed.uint32(config.hiddenSize)],
      ['llama.feed_forward_length', typed.uint32(config.intermediateSize)],
      ['llama.attention.head_count', typed.uint32(config.heads)],
      ['llama.attention.head_count_kv', typed.uint32(config.keyValueHeads)],
      ['llama.attention.key_length', typed.uint32(config.headSize)],
      ['llama.attention.value_length', typed.uint32(config.headSize)],
      ['llama.attention.layer_norm_rms_epsilon', typed.float32(config.normEpsilon)],
      ['llama.rope.dimension_count', typed.uint32(config.headSize)],
      ['llama.rope.freq_base', typed.float32(config.ropeTheta)],
      ['llama.vocab_size', typed.uint32(config.vocabularySize)],
    ]),
  tensorNames(config) {
    const blocks = Array.from({ length: config.layers }, (_, i) =>
      blockParts.map((part) => `blk.${i}.${part}`),
    );
    const names = [...modelParts, ...blocks.flat()].map((part) => `${part}.weight`);
    const layout = layoutOf(config);
    return new Map(names.map((name) => [huggingFaceTensorName(name, layout), name]));
  },
  rowOrder(name, rows, { headSize }) {
    if (!/\.(q|k)_proj\.weight$/.test(name)) return undefined;
    // The two rows that the rotary embedding turns together are half a head apart, and side by side in the file.
    return Uint32Array.from({ length: rows }, (_, row) => {
      const within = row % headSize;
      return row - within + (within % 2) * (headSize / 2) + (within >> 1);
    });
  },
};
