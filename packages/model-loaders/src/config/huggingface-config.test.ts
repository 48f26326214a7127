import { MalformedFileError, UnsupportedError } from '@lbs/format';
import { describe, expect, it } from 'vitest';
import { parseConfig } from './huggingface-config.js';
import { configJsonOf } from './model-config.js';

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

  it('reads back what configJsonOf writes', () => {
    expect(parseConfig(configJsonOf(parseConfig(json, 'a')), 'b')).toEqual(config);
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
    ['another architecture', { model_type: 'gemma' }, 'Known: llama.'],
    ['no architecture', { model_type: undefined }, 'Known: llama.'],
    ['biases of attention', { attention_bias: true }, 'attention_bias is true'],
    ['biases of the feed-forward layer', { mlp_bias: true }, 'mlp_bias is true'],
    ['another activation', { hidden_act: 'gelu' }, 'hidden_act is "gelu"'],
    ['scaled rotary embeddings', { rope_scaling: { rope_type: 'llama3', factor: 8 } }, 'type "llama3"'],
    ['scaled rotary embeddings of old', { rope_scaling: { type: 'linear', factor: 2 } }, 'type "linear"'],
    ['partial rotary embeddings', { partial_rotary_factor: 0.5 }, 'partial_rotary_factor is 0.5'],
    ['another quantization', { quantization_config: { quant_method: 'gptq' } }, 'quantized with "gptq"'],
  ])('does not support %s', (_, change, message) => {
    const parse = () => parseConfig({ ...json, ...change }, 'config.json');
    expect(parse).toThrow(UnsupportedError);
    expect(parse).toThrow(message);
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
