import { MalformedFileError, UnsupportedError } from '@lbs/format';
import { describe, expect, it } from 'vitest';
import { checkpointOf } from './checkpoint-methods.js';

const file = 'config.json';

describe('refused', () => {
  it.each([
    [
      'an unknown method',
      { quant_method: 'aqlm' },
      /quantized with "aqlm".*lbs, gptq, awq, compressed-tensors, bitsandbytes/,
    ],
    ['no method', {}, /quantized with missing/],
    ['a method that is none', { quant_method: ['gptq'] }, /a list/],
    ['GPTQ of five bits', { quant_method: 'gptq', bits: 5 }, /bits is 5/],
    ['GPTQ for one kernel', { quant_method: 'gptq', bits: 4, checkpoint_format: 'marlin' }, /"marlin"/],
    ['AWQ of another layout', { quant_method: 'awq', bits: 4, version: 'gemv' }, /"gemv"/],
    ['AWQ of eight bits', { quant_method: 'awq', bits: 8 }, /bits is 8/],
    ['bitsandbytes of eight bits', { quant_method: 'bitsandbytes', load_in_8bit: true }, /4-bit/],
    [
      'another format of compressed-tensors',
      {
        quant_method: 'compressed-tensors',
        format: 'nvfp4-pack-quantized',
        config_groups: { a: { targets: [], weights: { num_bits: 8, type: 'float', strategy: 'tensor' } } },
      },
      /nvfp4-pack-quantized/,
    ],
    [
      'floats of four bits',
      {
        quant_method: 'compressed-tensors',
        config_groups: { a: { weights: { num_bits: 4, type: 'float' } } },
      },
      /floats of 4 bits/,
    ],
  ])('is %s', (_, quantization_config, message) => {
    expect(() => checkpointOf({ quantization_config }, file)).toThrow(UnsupportedError);
    expect(() => checkpointOf({ quantization_config }, file)).toThrow(message);
  });

  it.each([
    { quant_method: 'gptq', bits: 4, group_size: 0 },
    { quant_method: 'compressed-tensors' },
    { quant_method: 'compressed-tensors', config_groups: { a: { targets: ['Linear'] } } },
    { quant_method: 'compressed-tensors', config_groups: { a: { targets: 'Linear', weights: {} } } },
    {
      quant_method: 'compressed-tensors',
      config_groups: { a: { targets: [], weights: { strategy: 'group' } } },
    },
    {
      quant_method: 'compressed-tensors',
      config_groups: { a: { targets: [], weights: { strategy: 'block' } } },
    },
  ])('is the config %j', (quantization_config) => {
    expect(() => checkpointOf({ quantization_config }, file)).toThrow(MalformedFileError);
  });
});

describe('checkpointOf', () => {
  it('knows models that are not quantized, and ours', () => {
    for (const quantization_config of [undefined, null, { quant_method: 'lbs' }]) {
      expect(checkpointOf({ quantization_config }, file)).toBeUndefined();
    }
  });
});
