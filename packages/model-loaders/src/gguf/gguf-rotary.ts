import type { JsonObject } from '../config/json-file.js';
import type { GgufFields, GgufSizes } from './gguf-fields.js';

/** `rope_scaling` by the types of `rope.scaling.type`. */
const scalings = {
  none: () => null,
  linear: (fields: GgufFields) => ({ rope_type: 'linear', factor: fields.decimal('rope.scaling.factor') }),
  yarn: (fields: GgufFields, { max_position_embeddings }: GgufSizes) => ({
    rope_type: 'yarn',
    factor: fields.decimal('rope.scaling.factor'),
    original_max_position_embeddings: fields.size(
      'rope.scaling.original_context_length',
      max_position_embeddings,
    ),
  }),
  // Its factors are tensors; `withRotaryFactors` reads them.
  longrope: () => null,
} as const;

type ScalingType = keyof typeof scalings;

/** What config.json says of a rotary embedding that turns whole heads. Throws UnsupportedError for scalings that are not known. */
export function ggufRotary(fields: GgufFields, sizes: GgufSizes): JsonObject {
  fields.only('rope.dimension_count', sizes.head_dim);
  return ggufRotaryScaling(fields, sizes);
}

/** The same of one that turns a part of each head. */
export function ggufPartialRotary(fields: GgufFields, sizes: GgufSizes): JsonObject {
  const rotated = fields.size('rope.dimension_count', sizes.head_dim);
  return { ...ggufRotaryScaling(fields, sizes), partial_rotary_factor: fractionOf(rotated, sizes.head_dim) };
}

function ggufRotaryScaling(fields: GgufFields, sizes: GgufSizes): JsonObject {
  const type = fields.oneOf('rope.scaling.type', Object.keys(scalings) as ScalingType[], 'none');
  return {
    rope_theta: fields.decimal('rope.freq_base', 10_000),
    rope_scaling: scalings[type](fields, sizes),
  };
}

/** A number whose product with `whole`, rounded down, is `part`: part / whole may miss it. */
function fractionOf(part: number, whole: number): number {
  const fraction = part / whole;
  return Math.floor(fraction * whole) === part ? fraction : (part + 0.25) / whole;
}

/** Names of the tensors that hold a factor for each rotary frequency. */
const factorTensors = {
  all: 'rope_freqs.weight',
  short: 'rope_factors_short.weight',
  long: 'rope_factors_long.weight',
} as const;

/**
 * A config.json with the factors that the file has for each frequency, as the scaling of LongRoPE: it can say them all. Llama 3
 * has one list, Phi-3 one for short contexts and one for long ones.
 */
export async function withRotaryFactors(
  json: JsonObject,
  fields: GgufFields,
  read: (tensor: string) => Promise<Float32Array>,
): Promise<JsonObject> {
  const list = async (tensor: string) => Array.from(await read(tensor));
  if (fields.hasTensor(factorTensors.all)) {
    const factors = await list(factorTensors.all);
    return {
      ...json,
      rope_scaling: {
        rope_type: 'longrope',
        short_factor: factors,
        long_factor: factors,
        attention_factor: 1,
        original_max_position_embeddings: json['max_position_embeddings'],
      },
    };
  }
  if (!(fields.hasTensor(factorTensors.long) && fields.hasTensor(factorTensors.short))) return json;
  return {
    ...json,
    original_max_position_embeddings: fields.size('rope.scaling.original_context_length'),
    rope_scaling: {
      type: 'longrope',
      short_factor: await list(factorTensors.short),
      long_factor: await list(factorTensors.long),
      attention_factor: fields.decimal('rope.scaling.attn_factor', 1),
    },
  };
}
