import { UnsupportedError } from '@lbs/format';
import { ConfigFields } from './config-fields.js';
import { describeValue, isJsonObject } from './json-file.js';
import type { ModelConfig } from './model-config.js';

/**
 * How rotary wavelengths are stretched for contexts beyond the original one. `linear` divides the frequencies by `factor`;
 * `dynamic` grows the base with the context; `llama3` stretches long wavelengths only; `yarn` (arXiv 2309.00071) those of few
 * turns in the original context; `longrope` (arXiv 2402.13753) divides each frequency by a factor of its own, of two lists that
 * the context chooses.
 */
export type RotaryScaling =
  | { readonly type: 'linear'; readonly factor: number }
  | { readonly type: 'dynamic'; readonly factor: number; readonly originalContextLength: number }
  | {
      readonly type: 'llama3';
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      readonly originalContextLength: number;
    }
  | {
      readonly type: 'yarn';
      readonly factor: number;
      readonly originalContextLength: number;
      /** What cosines and sines are multiplied with. */
      readonly attentionFactor: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      /** Whether the limits between stretched and other dimensions are rounded. */
      readonly truncate: boolean;
    }
  | {
      readonly type: 'longrope';
      /** [rotarySize / 2] for contexts up to the original one, and for longer ones. */
      readonly shortFactors: readonly number[];
      readonly longFactors: readonly number[];
      readonly originalContextLength: number;
      readonly attentionFactor: number;
    };

/** What is read of the rotary embedding's parameters. */
export type RotaryConfig = Pick<ModelConfig, 'ropeTheta' | 'ropeScaling' | 'rotarySize'>;

/** What the readers of scalings know. */
interface ScalingContext {
  readonly fields: ConfigFields;
  readonly contextLength: number;
  /** Frequencies of a head. */
  readonly frequencies: number;
}

/** 1 up to a factor of 1; else as section 3.4 of YaRN (arXiv 2309.00071) has it. */
const yarnAttentionFactor = (factor: number, scale = 1) =>
  factor <= 1 ? 1 : 0.1 * scale * Math.log(factor) + 1;

const readers: Readonly<Record<string, (context: ScalingContext) => RotaryScaling | undefined>> = {
  default: () => undefined,
  linear: ({ fields }) => ({ type: 'linear', factor: fields.positive('factor') }),
  dynamic: ({ fields, contextLength }) => ({
    type: 'dynamic',
    factor: fields.positive('factor'),
    originalContextLength: contextLength,
  }),
  llama3: ({ fields, contextLength }) => ({
    type: 'llama3',
    factor: fields.positive('factor'),
    lowFrequencyFactor: fields.positive('low_freq_factor'),
    highFrequencyFactor: fields.positive('high_freq_factor'),
    originalContextLength: fields.size('original_max_position_embeddings', contextLength),
  }),
  yarn: ({ fields, contextLength }) => {
    const originalContextLength = fields.size('original_max_position_embeddings', contextLength);
    const factor = fields.positive('factor', contextLength / originalContextLength);
    const [scale, scaleOfAll] = [
      fields.optionalPositive('mscale'),
      fields.optionalPositive('mscale_all_dim'),
    ];
    const attentionFactor =
      scale && scaleOfAll
        ? yarnAttentionFactor(factor, scale) / yarnAttentionFactor(factor, scaleOfAll)
        : yarnAttentionFactor(factor);
    return {
      type: 'yarn',
      factor,
      originalContextLength,
      attentionFactor: fields.positive('attention_factor', attentionFactor),
      betaFast: fields.positive('beta_fast', 32),
      betaSlow: fields.positive('beta_slow', 1),
      truncate: fields.boolean('truncate', true),
    };
  },
  longrope: ({ fields, contextLength, frequencies }) => {
    const originalContextLength = fields.size('original_max_position_embeddings', contextLength);
    const factor = fields.positive('factor', contextLength / originalContextLength);
    const attentionFactor =
      factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(originalContextLength));
    return {
      type: 'longrope',
      shortFactors: fields.positives('short_factor', frequencies),
      longFactors: fields.positives('long_factor', frequencies),
      originalContextLength,
      attentionFactor: fields.positive('attention_factor', attentionFactor),
    };
  },
};

/** Older configs of Phi-3 call it so. */
const synonyms: Readonly<Record<string, string>> = { su: 'longrope' };

/**
 * Reads `rope_theta` and `rope_scaling`, whose place `rope_parameters` took in transformers 5. `partial` is the fraction of a
 * head that turns where the config does not say; undefined for architectures that turn whole heads. Throws UnsupportedError for
 * scalings that are not known.
 */
export function readRotary(
  fields: ConfigFields,
  { headSize, contextLength }: Pick<ModelConfig, 'headSize' | 'contextLength'>,
  { theta = 10_000, partial }: { readonly theta?: number; readonly partial?: number } = {},
): RotaryConfig {
  const key = fields.value('rope_parameters') === undefined ? 'rope_scaling' : 'rope_parameters';
  const value = fields.value(key);
  if (value !== undefined && !isJsonObject(value)) throw fields.malformed(key, value, 'an object');
  const parameters = value ?? {};
  const rope = new ConfigFields((name) => {
    // Where Phi-3 has it, outside of the parameters, it counts before theirs.
    if (name === 'original_max_position_embeddings') return fields.value(name) ?? parameters[name];
    return parameters[name] ?? fields.value(name);
  }, fields.file);
  const fraction = partial === undefined ? 1 : rope.fraction('partial_rotary_factor', partial);
  if (partial === undefined) rope.only('partial_rotary_factor', 1);
  const rotarySize = Math.floor(headSize * fraction);
  if (rotarySize % 2 !== 0) {
    if (fraction === 1) throw fields.malformed('head_dim', headSize, 'even, as rotary embeddings need');
    const expected = `a fraction that makes an even number of the ${headSize} dimensions of a head turn`;
    throw fields.malformed('partial_rotary_factor', fraction, expected);
  }
  const type = parameters['rope_type'] ?? parameters['type'] ?? 'default';
  const name = typeof type === 'string' ? (synonyms[type] ?? type) : '';
  const read = Object.hasOwn(readers, name) ? readers[name] : undefined;
  if (!read) {
    throw new UnsupportedError(`${key} asks for rotary embeddings of type ${describeValue(type)}`, {
      file: fields.file,
      mend: `Known: ${Object.keys(readers).join(', ')}.`,
    });
  }
  const ropeScaling = read({ fields: rope, contextLength, frequencies: rotarySize / 2 });
  return {
    ropeTheta: rope.positive('rope_theta', theta),
    ...(ropeScaling === undefined ? {} : { ropeScaling }),
    ...(rotarySize === headSize ? {} : { rotarySize }),
  };
}
