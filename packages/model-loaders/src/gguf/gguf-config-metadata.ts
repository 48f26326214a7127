import type { ModelConfig } from '../config/model-config.js';
import type { RotaryScaling } from '../config/rotary-scaling.js';
import type { GgufDeclaration } from './gguf-declaration.js';
import { type GgufTypedValue, typed } from './gguf-typed-value.js';

type LongRope = Extract<RotaryScaling, { type: 'longrope' }>;

/** The metadata that say what a config says, under the keys that llama.cpp has for all architectures, and the declaration's own. */
export function ggufConfigMetadata(
  declaration: GgufDeclaration,
  config: ModelConfig,
): ReadonlyMap<string, GgufTypedValue> {
  const { rotarySize = config.headSize } = config;
  const epsilon = config.norm === 'layer' ? 'layer_norm_epsilon' : 'layer_norm_rms_epsilon';
  const entries: Readonly<Record<string, GgufTypedValue | undefined>> = {
    block_count: typed.uint32(config.layers),
    context_length: typed.uint32(config.contextLength),
    embedding_length: typed.uint32(config.hiddenSize),
    feed_forward_length: typed.uint32(config.intermediateSize),
    'attention.head_count': typed.uint32(config.heads),
    'attention.head_count_kv': typed.uint32(config.keyValueHeads),
    'attention.key_length': typed.uint32(config.headSize),
    'attention.value_length': typed.uint32(config.headSize),
    [`attention.${epsilon}`]: typed.float32(config.normEpsilon),
    'attention.sliding_window': optional(typed.uint32, config.slidingWindow),
    'attention.clamp_kqv': optional(typed.float32, config.attentionClip),
    attn_logit_softcapping: optional(typed.float32, config.attentionSoftcap),
    final_logit_softcapping: optional(typed.float32, config.logitSoftcap),
    vocab_size: typed.uint32(config.vocabularySize),
    ...(rotarySize > 0 && {
      'rope.dimension_count': typed.uint32(rotarySize),
      'rope.freq_base': typed.float32(config.ropeTheta),
      'rope.freq_base_swa': optional(typed.float32, config.localRopeTheta),
    }),
    ...scalingMetadata(config.ropeScaling),
    ...declaration.metadata?.(config),
  };
  return new Map(
    Object.entries(entries).flatMap(([key, value]) => (value ? [[`${declaration.name}.${key}`, value]] : [])),
  );
}

function optional(
  type: (value: number) => GgufTypedValue,
  value: number | undefined,
): GgufTypedValue | undefined {
  return value === undefined ? undefined : type(value);
}

function scalingMetadata(scaling: RotaryScaling | undefined): Readonly<Record<string, GgufTypedValue>> {
  switch (scaling?.type) {
    case 'linear':
      return {
        'rope.scaling.type': typed.string('linear'),
        'rope.scaling.factor': typed.float32(scaling.factor),
      };
    case 'yarn':
      return {
        'rope.scaling.type': typed.string('yarn'),
        'rope.scaling.factor': typed.float32(scaling.factor),
        'rope.scaling.original_context_length': typed.uint32(scaling.originalContextLength),
      };
    case 'longrope':
      // One list for all contexts is that of Llama 3, which has no metadata.
      if (isOneList(scaling)) return {};
      return {
        'rope.scaling.type': typed.string('longrope'),
        'rope.scaling.attn_factor': typed.float32(scaling.attentionFactor),
        'rope.scaling.original_context_length': typed.uint32(scaling.originalContextLength),
      };
    default:
      return {};
  }
}

function isOneList({ shortFactors, longFactors, attentionFactor }: LongRope): boolean {
  return attentionFactor === 1 && shortFactors.every((factor, i) => factor === longFactors[i]);
}

/**
 * The tensors that stretch rotary wavelengths: what divides each frequency. LongRoPE has them, and Llama 3's rule is
 * written as them.
 */
export function rotaryFactorTensors(config: ModelConfig): ReadonlyMap<string, Float32Array<ArrayBuffer>> {
  const { ropeScaling: scaling, rotarySize = config.headSize, ropeTheta } = config;
  if (scaling?.type === 'longrope') {
    const long = Float32Array.from(scaling.longFactors);
    if (isOneList(scaling)) return new Map([['rope_freqs.weight', long]]);
    return new Map([
      ['rope_factors_long.weight', long],
      ['rope_factors_short.weight', Float32Array.from(scaling.shortFactors)],
    ]);
  }
  if (scaling?.type !== 'llama3') return new Map();
  const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalContextLength } = scaling;
  const factors = Float32Array.from({ length: rotarySize / 2 }, (_, i) => {
    const turns = originalContextLength / (2 * Math.PI * ropeTheta ** ((2 * i) / rotarySize));
    if (turns > high) return 1;
    if (turns < low) return factor;
    const kept = (turns - low) / (high - low);
    return 1 / ((1 - kept) / factor + kept);
  });
  return new Map([['rope_freqs.weight', factors]]);
}
