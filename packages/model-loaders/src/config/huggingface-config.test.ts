import { MalformedFileError, UnsupportedError } from '@lbs/format';
import { describe, expect, it } from 'vitest';
import { parseConfig } from './huggingface-config.js';

const json = {
  model_type: 'llama',
  hidden_size: 576,
  intermediate_size: 1536,
  num_hidden_layers: 30,
  num_attention_heads: 9,
  num_key_value_heads: 3,
  vocab_size: 49152,
  max_position_embeddings: 8192,
  rms_norm_eps: 1e-5,
  rope_theta: 100000,
  tie_word_embeddings: true,
  bos_token_id: 1,
  eos_token_id: [2, 0],
};

const config = {
  architecture: 'llama',
  hiddenSize: 576,
  intermediateSize: 1536,
  layers: 30,
  heads: 9,
  keyValueHeads: 3,
  headSize: 64,
  vocabularySize: 49152,
  contextLength: 8192,
  normEpsilon: 1e-5,
  ropeTheta: 100000,
  tiedEmbeddings: true,
  beginningOfSequence: 1,
  endOfSequence: 2,
};

describe('parseConfig', () => {
  it('reads a config', () => {
    expect(parseConfig(json, 'config.json')).toEqual(config);
  });

  it('has the defaults of LlamaConfig', () => {
    const { hidden_size, intermediate_size, num_hidden_layers, num_attention_heads, vocab_size } = json;
    const least = {
      model_type: 'llama',
      hidden_size,
      intermediate_size,
      num_hidden_layers,
      num_attention_heads,
      vocab_size,
    };
    expect(parseConfig(least, 'config.json')).toEqual({
      architecture: 'llama',
      hiddenSize: 576,
      intermediateSize: 1536,
      layers: 30,
      heads: 9,
      keyValueHeads: 9,
      headSize: 64,
      vocabularySize: 49152,
      contextLength: 2048,
      normEpsilon: 1e-6,
      ropeTheta: 10000,
      tiedEmbeddings: false,
    });
  });

  it.each([
    [
      'null for nothing',
      { rope_scaling: null, attention_bias: null, quantization_config: null, bos_token_id: 1 },
    ],
    ['plain rotary embeddings by name', { rope_scaling: { rope_type: 'default' } }],
    [
      'the parameters of transformers 5',
      { rope_theta: undefined, rope_parameters: { rope_type: 'default', rope_theta: 100000 } },
    ],
    ['our own quantization', { quantization_config: { quant_method: 'lbs' } }],
  ])('accepts %s', (_, change) => {
    expect(parseConfig({ ...json, ...change }, 'config.json')).toEqual(config);
  });

  it.each([
    [
      'another architecture',
      { model_type: 'mamba' },
      /model_type is "mamba". Known: .*llama.*missing is a decl/,
    ],
    ['no architecture', { model_type: undefined }, /model_type is missing. Known: .*llama/],
    ['a property of objects', { model_type: 'constructor' }, /model_type is "constructor"/],
    ['another activation', { hidden_act: 'gelu' }, 'hidden_act is "gelu"'],
    ['another scaling', { rope_scaling: { rope_type: 'su2' } }, /type "su2".*Known: default, linear/],
    ['another scaling of old', { rope_scaling: { type: 'toString' } }, 'type "toString"'],
    ['a scaling without type', { rope_scaling: { rope_type: 3 } }, 'type 3'],
    ['partial rotary embeddings', { partial_rotary_factor: 0.5 }, 'partial_rotary_factor is 0.5'],
    ['another quantization', { quantization_config: { quant_method: 'aqlm' } }, 'quantized with "aqlm"'],
  ])('does not support %s', (_, change, message) => {
    const parse = () => parseConfig({ ...json, ...change }, 'config.json');
    expect(parse).toThrow(UnsupportedError);
    expect(parse).toThrow(message);
  });

  it.each([
    [
      'biases',
      { attention_bias: true, mlp_bias: true },
      { queryKeyValueBias: true, attentionOutputBias: true, feedForwardBias: true },
    ],
    [
      'linear scaling of old',
      { rope_scaling: { type: 'linear', factor: 2 } },
      { ropeScaling: { type: 'linear', factor: 2 } },
    ],
    [
      'dynamic scaling',
      { rope_scaling: { rope_type: 'dynamic', factor: 4 } },
      { ropeScaling: { type: 'dynamic', factor: 4, originalContextLength: 8192 } },
    ],
    [
      'the scaling of Llama 3',
      {
        rope_scaling: {
          rope_type: 'llama3',
          factor: 8,
          low_freq_factor: 1,
          high_freq_factor: 4,
          original_max_position_embeddings: 2048,
        },
      },
      {
        ropeScaling: {
          type: 'llama3',
          factor: 8,
          lowFrequencyFactor: 1,
          highFrequencyFactor: 4,
          originalContextLength: 2048,
        },
      },
    ],
    [
      'YaRN',
      {
        rope_theta: undefined,
        rope_parameters: {
          rope_type: 'yarn',
          rope_theta: 5000,
          factor: 4,
          original_max_position_embeddings: 2048,
        },
      },
      {
        ropeTheta: 5000,
        ropeScaling: {
          type: 'yarn',
          factor: 4,
          originalContextLength: 2048,
          attentionFactor: 0.1 * Math.log(4) + 1,
          betaFast: 32,
          betaSlow: 1,
          truncate: true,
        },
      },
    ],
  ])('reads %s', (_, change, expected) => {
    expect(parseConfig({ ...json, ...change }, 'config.json')).toEqual({ ...config, ...expected });
  });

  it.each([
    ['hidden_size', undefined],
    ['hidden_size', '576'],
    ['hidden_size', -1],
    ['intermediate_size', 1.5],
    ['num_hidden_layers', 0],
    ['num_hidden_layers', 1e15],
    ['num_key_value_heads', 4],
    ['num_attention_heads', 7],
    ['head_dim', 63],
    ['vocab_size', 2 ** 60],
    ['rms_norm_eps', 0],
    ['rope_theta', 'x'],
    ['tie_word_embeddings', 'yes'],
    ['eos_token_id', -1],
    ['bos_token_id', ['x']],
    ['vocab_size', [[[]]]],
  ])('refuses %s: %j', (key, value) => {
    const parse = () => parseConfig({ ...json, [key]: value }, 'config.json');
    expect(parse).toThrow(MalformedFileError);
    expect(parse).toThrow(/^config\.json: \w+ is /);
  });
});
