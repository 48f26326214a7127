import { describe, expect, test } from 'vitest';
import { int8, lbs4, numberFormats } from './number-formats.js';
import {
  formatOfModule,
  parseQuantizationConfig,
  serializeQuantizationConfig,
} from './quantization-config.js';

const config = {
  groups: [
    { targets: ['lm_head'], format: int8 },
    { targets: ['re:.*\\.(q|k)_proj'], format: lbs4 },
  ],
  ignore: ['model.layers.0.self_attn.k_proj'],
  provenance: { tool: 'test' },
};
const json = () => JSON.parse(JSON.stringify(serializeQuantizationConfig(config)));

/** Lists inside of each other, so deep that a recursive walk runs out of stack. */
const nested = (depth: number): unknown => JSON.parse('['.repeat(depth) + ']'.repeat(depth));

interface EditableGroup {
  targets: unknown;
  weights?: Record<string, unknown> & { level_table: { levels: unknown; centre?: unknown } };
}

describe('quantization_config', () => {
  test('survives the way through JSON, formats and all', () => {
    expect(parseQuantizationConfig(json())).toEqual(config);
  });

  test.each(numberFormats)('$name survives the way through JSON', (format) => {
    const one = { groups: [{ targets: ['m'], format }], ignore: [], provenance: {} };
    expect(parseQuantizationConfig(JSON.parse(JSON.stringify(serializeQuantizationConfig(one))))).toEqual(
      one,
    );
  });

  test('the first group with a matching target gives the format', () => {
    const formatOf = formatOfModule(config);
    expect(formatOf('lm_head')).toBe(int8);
    expect(formatOf('model.layers.0.self_attn.q_proj')).toBe(lbs4);
    expect(formatOf('model.layers.0.self_attn.q_proj.extra')).toBeUndefined();
  });

  test('a module of the ignore list has no format, whatever target matches it', () => {
    expect(formatOfModule(config)('model.layers.0.self_attn.k_proj')).toBeUndefined();
    expect(formatOfModule({ ...config, ignore: [] })('model.layers.0.self_attn.k_proj')).toBe(lbs4);
    const without = json();
    delete without.ignore;
    expect(parseQuantizationConfig(without).ignore).toEqual([]);
  });

  test('the numbers of the groups are their order, whatever order a tool writes them in', () => {
    const { group_0: first, group_1: second } = json().config_groups;
    const shuffled = { ...json(), config_groups: { group_10: second, group_2: first } };
    expect(parseQuantizationConfig(shuffled)).toEqual(config);
  });

  test('bits are told where all groups have the same', () => {
    expect(json()).not.toHaveProperty('bits');
    const { groups } = config;
    expect(serializeQuantizationConfig({ groups: groups.slice(1), provenance: {} })).toMatchObject({
      bits: 4,
    });
  });

  test('its own version is read', () => {
    expect(parseQuantizationConfig({ ...json(), format_version: '0.2' })).toEqual(config);
  });

  test.each([
    ['another method', { quant_method: 'gptq' }, 'LBS_UNSUPPORTED', /"gptq"/],
    [
      'a newer version',
      { format_version: '7.0' },
      'LBS_UNSUPPORTED',
      /7\.0 is newer than.*Install a newer release/,
    ],
    [
      'a newer minor version',
      { format_version: '0.3' },
      'LBS_UNSUPPORTED',
      /0\.3 is newer than 0\.2.*Install a newer/,
    ],
    [
      'a version with other salient weights',
      { format_version: '0.1' },
      'LBS_UNSUPPORTED',
      /0\.1 is older than 0\.2.*Quantize the original model again/,
    ],
    ['an endless version', { format_version: '0.00000000000' }, 'LBS_MALFORMED_FILE', /format_version/],
    ['a group without a number', { config_groups: { all: {} } }, 'LBS_MALFORMED_FILE', /config_groups\.all/],
    [
      'a list of ignored modules that is none',
      { ignore: 'all' },
      'LBS_MALFORMED_FILE',
      /ignore is not a list/,
    ],
    ['an ignored pattern that is none', { ignore: ['re:['] }, 'LBS_MALFORMED_FILE', /ignore: module pattern/],
    ['a version that is none', { format_version: 7 }, 'LBS_MALFORMED_FILE', /format_version 7/],
    ['a method that no stack holds', { quant_method: nested(20_000) }, 'LBS_UNSUPPORTED', /is a list/],
    ['no groups', { config_groups: null }, 'LBS_MALFORMED_FILE', /config_groups is not an object/],
  ])('%s is refused', (_, change, code, message) => {
    const parse = () => parseQuantizationConfig({ ...json(), ...change }, 'config.json');
    expect(parse).toThrow(message);
    expect(parse).toThrow(expect.objectContaining({ code, file: 'config.json' }));
  });

  test.each([
    [(group: EditableGroup) => (group.targets = 'all'), /targets is not a list/],
    [(group: EditableGroup) => (group.targets = ['re:(a+']), /does not end/],
    [(group: EditableGroup) => (group.weights!['name'] = { toString: 1 }), /name is an object/],
    [(group: EditableGroup) => (group.weights!['group_size'] = [[64]]), /group_size is a list/],
    [(group: EditableGroup) => (group.weights!.level_table.centre = { valueOf: 1 }), /centre is an object/],
    [
      (group: EditableGroup) => (group.weights!.level_table.levels = [1, 'x']),
      /not a list of at most 256 numbers/,
    ],
    [(group: EditableGroup) => (group.weights!['private_bits'] = 12), /private bits/],
    [(group: EditableGroup) => (group.weights!['scale_encoding'] = 'float7'), /unknown scale encoding/],
    [(group: EditableGroup) => (group.weights!['private_bits'] = '8'), /private_bits is not a number/],
    [(group: EditableGroup) => delete group.weights!['scale_encoding'], /unknown scale encoding/],
    [(group: EditableGroup) => delete group.weights!['shared_bits'], /shared_bits is not a number/],
    [
      (group: EditableGroup) => Object.assign(group.weights!.level_table, { centre: '127.5' }),
      /centre 127.5 must be/,
    ],
    [(group: EditableGroup) => (group.weights!['zero_point'] = 1), /zero_point is not a boolean/],
    [(group: EditableGroup) => (group.weights!['zero_point'] = true), /centre must be 0/],
    [(group: EditableGroup) => delete group.weights, /weights is not an object/],
  ])('a group that breaks a rule is refused', (breakRule, message) => {
    const broken = json();
    breakRule(broken.config_groups.group_0);
    expect(() => parseQuantizationConfig(broken)).toThrow(message);
    expect(() => parseQuantizationConfig(broken)).toThrow(
      expect.objectContaining({ code: 'LBS_MALFORMED_FILE' }),
    );
  });
});
