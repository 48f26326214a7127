import { UnsupportedError } from '@lbs/format';
import { describe, expect, it } from 'vitest';
import { architectureNames, layoutOf, tensorShapes } from './architectures.js';
import { blockMatrices } from './decoder-layout.js';
import { parseConfig } from './huggingface-config.js';

const sizes = {
  hidden_size: 48,
  intermediate_size: 72,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  vocab_size: 96,
};
const gpt2 = { n_embd: 48, n_layer: 2, n_head: 4, vocab_size: 96 };
const gemma3 = { text_config: { ...sizes, num_key_value_heads: 2 } };
const opt = { ...sizes, intermediate_size: undefined, ffn_dim: 80 };
const fieldsOf = (architecture: string) => ({ gpt2, opt, gemma3 })[architecture] ?? sizes;
const parse = (architecture: string, changes: object = {}) =>
  parseConfig({ model_type: architecture, ...fieldsOf(architecture), ...changes }, 'config.json');

describe('a config with the sizes alone', () => {
  it.each([
    ['mistral', { contextLength: 131072, slidingWindow: 4096, keyValueHeads: 8 }, { num_attention_heads: 8 }],
    ['qwen2', { contextLength: 32768, queryKeyValueBias: true }, {}],
    ['qwen3', { headSize: 128 }, {}],
    ['smollm3', { ropeTheta: 2_000_000, tiedEmbeddings: true }, {}],
    ['gemma', { headSize: 256, activation: 'geluTanh', normOffset: 1, embeddingScale: Math.sqrt(48) }, {}],
    [
      'gemma2',
      {
        attentionSoftcap: 50,
        logitSoftcap: 30,
        attentionScale: 1 / 16,
        slidingWindow: 4096,
        slidingLayers: [true, false],
      },
      {},
    ],
    ['gemma3_text', { ropeTheta: 1_000_000, localRopeTheta: 10_000, slidingWindow: 4096 }, {}],
    ['gemma3', { ropeTheta: 1_000_000, localRopeTheta: 10_000, headSize: 256, keyValueHeads: 2 }, {}],
    ['phi', { rotarySize: 6, activation: 'geluTanh', parallelResidual: true, norm: 'layer' }, {}],
    ['phi3', { contextLength: 4096, normEpsilon: 1e-5 }, {}],
    ['gpt2', { intermediateSize: 192, positionOffset: 0, rotarySize: 0, tiedEmbeddings: true }, {}],
    ['opt', { intermediateSize: 80, positionOffset: 2, activation: 'relu', feedForwardBias: true }, {}],
    ['gpt_neox', { rotarySize: 6, headSize: 24, parallelResidual: true }, { num_attention_heads: 2 }],
    ['stablelm', { rotarySize: 6, headSize: 24, norm: 'layer' }, { num_attention_heads: 2 }],
    ['olmo', { norm: 'layer', normEpsilon: 1e-5 }, {}],
    ['olmo2', { normEpsilon: 1e-5 }, {}],
    ['granite', { embeddingScale: 1, residualScale: 1, attentionScale: 1, logitScale: 1 }, {}],
  ])('has the defaults of transformers: %s', (architecture, expected, changes) => {
    expect(parse(architecture, changes)).toMatchObject({ architecture, ...expected });
  });

  it('tells null from a missing field', () => {
    expect(parse('mistral', { sliding_window: null, num_key_value_heads: 4 })).not.toHaveProperty(
      'slidingWindow',
    );
    const uncapped = parse('gemma2', { attn_logit_softcapping: null, final_logit_softcapping: null });
    expect(uncapped).not.toHaveProperty('attentionSoftcap');
    expect(uncapped).not.toHaveProperty('logitSoftcap');
  });
});

it.each([
  ['stablelm', { qk_layernorm: true }, 'qk_layernorm is true'],
  ['phi', { qk_layernorm: true }, 'qk_layernorm is true'],
  ['opt', { do_layer_norm_before: false }, 'do_layer_norm_before is false'],
  ['opt', { word_embed_proj_dim: 24 }, 'word_embed_proj_dim is 24'],
  ['gpt2', { scale_attn_by_inverse_layer_idx: true }, 'scale_attn_by_inverse_layer_idx is true'],
  ['gpt2', { activation_function: 'tanh' }, 'activation_function is "tanh"'],
  ['gemma', { hidden_act: 'relu' }, 'hidden_act is "relu"'],
  ['gemma3_text', { use_bidirectional_attention: true }, 'use_bidirectional_attention is true'],
  ['gemma2', { layer_types: ['chunked_attention', 'full_attention'] }, 'layer_types is "chunked_attention"'],
  ['qwen3', { hidden_act: 'gelu' }, 'hidden_act is "gelu"'],
  ['phi3', { attention_bias: true }, 'attention_bias is true'],
])('what the decoder cannot do is refused: %s, %j', (architecture, changes, message) => {
  expect(() => parse(architecture, changes)).toThrow(UnsupportedError);
  expect(() => parse(architecture, changes)).toThrow(message);
});

it.each([
  ['gemma2', { layer_types: ['full_attention'] }, 'layer_types is a list, not a list for 2 layers'],
  ['smollm3', { no_rope_layers: 3, num_key_value_heads: 4 }, 'no_rope_layers is 3, not a list for 2 layers'],
  ['gpt2', { n_embd: 0 }, 'n_embd is 0, not a positive integer'],
  ['phi', { partial_rotary_factor: 1.5 }, 'partial_rotary_factor is 1.5, not a number above 0 and up to 1'],
  [
    'gpt_neox',
    { rotary_pct: 0.25 },
    'rotary_pct is 0.25, not a fraction that makes an even number of the 12 dimensions',
  ],
  [
    'phi3',
    { rope_scaling: { type: 'longrope', short_factor: [1], long_factor: [1] } },
    'not 6 positive numbers',
  ],
  ['llama', { rope_scaling: 'linear' }, 'rope_scaling is "linear", not an object'],
  ['gemma3', { text_config: 3 }, 'text_config is 3, not an object'],
  ['granite', { logits_scaling: 0 }, 'logits_scaling is 0, not a positive number'],
])('malformed fields are named: %s, %j', (architecture, changes, message) => {
  expect(() => parse(architecture, changes)).toThrow(message);
});

describe.each(architectureNames)('the layout of %s', (architecture) => {
  const config = parse(architecture, { num_attention_heads: 2, num_key_value_heads: 2 });

  it('has every row of every matrix in one linear layer', () => {
    const layout = layoutOf(config);
    for (const { module, linears, rows } of blockMatrices(config, layout)) {
      const found = linears.flatMap((linear) => {
        const runs = layout.linears[linear]!.rows ?? { first: 0, length: rows, count: 1, step: rows };
        return Array.from(
          { length: runs.count * runs.length },
          (_, i) => runs.first + Math.floor(i / runs.length) * runs.step + (i % runs.length),
        );
      });
      const expected = Array.from({ length: rows }, (_, i) => i);
      expect(
        found.sort((a, b) => a - b),
        module,
      ).toEqual(expected);
    }
  });

  it('names no tensor twice, and blocks by their index', () => {
    const layout = layoutOf(config);
    const names = [...tensorShapes(config).keys()];
    expect(new Set(names).size).toBe(names.length);
    const ofBlock = (index: number) => names.filter((name) => name.startsWith(`${layout.blocks}.${index}.`));
    expect(ofBlock(0).length).toBeGreaterThan(0);
    expect(ofBlock(1).length).toBe(ofBlock(0).length);
  });
});
