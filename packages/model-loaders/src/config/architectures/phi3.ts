import { ggufPartialRotary } from '../../gguf/gguf-rotary.js';
import { typed } from '../../gguf/gguf-typed-value.js';
import type { Architecture } from '../architecture.js';
import { consecutiveRows } from '../decoder-layout.js';
import { llamaLayout } from '../llama-layout.js';
import { given, readSizes } from '../read-sizes.js';
import { readRotary } from '../rotary-scaling.js';

/** Phi 3, 3.5 and 4 (arXiv 2404.14219): Llama with query, key and value in one matrix, gate and up in another. */
export const phi3: Architecture = {
  name: 'phi3',
  readConfig(fields) {
    fields.only('hidden_act', 'silu');
    fields.only('attention_bias', false);
    const sizes = readSizes('phi3', fields, { contextLength: 4096, normEpsilon: 1e-5 });
    return {
      ...sizes,
      ...readRotary(fields, sizes, { partial: 1 }),
      ...given({ slidingWindow: fields.optionalSize('sliding_window') }),
    };
  },
  layout(config) {
    const { heads, keyValueHeads, headSize, intermediateSize } = config;
    const [query, key, value] = consecutiveRows(
      heads * headSize,
      keyValueHeads * headSize,
      keyValueHeads * headSize,
    );
    const [gate, up] = consecutiveRows(intermediateSize, intermediateSize);
    const fused = (module: string, rows: typeof query) => ({ module, bias: false, rows: rows! });
    return {
      ...llamaLayout(config),
      linears: {
        query: fused('self_attn.qkv_proj', query),
        key: fused('self_attn.qkv_proj', key),
        value: fused('self_attn.qkv_proj', value),
        attentionOutput: { module: 'self_attn.o_proj', bias: false },
        gate: fused('mlp.gate_up_proj', gate),
        up: fused('mlp.gate_up_proj', up),
        down: { module: 'mlp.down_proj', bias: false },
      },
    };
  },
  gguf: {
    name: 'phi3',
    className: 'Phi3ForCausalLM',
    configJson: (fields, sizes) => ({
      ...sizes,
      ...ggufPartialRotary(fields, sizes),
      hidden_act: 'silu',
      // 0 for none.
      sliding_window: fields.count('attention.sliding_window', 0) || null,
    }),
    metadata: ({ slidingWindow = 0 }) => ({ 'attention.sliding_window': typed.uint32(slidingWindow) }),
  },
};
