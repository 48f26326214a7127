import type { RotaryScaling } from '@lbs/model-loaders';

/** How fast each pair of dimensions turns. */
export interface RotaryFrequencies {
  /** [size / 2] radians for each position. */
  readonly frequencies: Float32Array;
  /** What cosines and sines are multiplied with. */
  readonly amplitude: number;
}

/** What decides on the frequencies. */
export interface RotaryParameters {
  /** Dimensions that turn. */
  readonly size: number;
  readonly theta: number;
  readonly scaling: RotaryScaling | undefined;
  /** Positions that there will be: some scalings depend on it. */
  readonly contextLength: number;
}

type ScalingOf<Type extends RotaryScaling['type']> = Extract<RotaryScaling, { readonly type: Type }>;

/** theta^(-2i / size) (RoFormer, arXiv 2104.09864, equation 15), with the roundings to float32 that transformers makes. */
function plainFrequencies(size: number, theta: number): Float32Array {
  return Float32Array.from({ length: size / 2 }, (_, i) => 1 / Math.fround(theta ** ((2 * i) / size)));
}

const scalings: {
  readonly [Type in RotaryScaling['type']]: (
    scaling: ScalingOf<Type>,
    parameters: RotaryParameters,
  ) => RotaryFrequencies;
} = {
  linear: ({ factor }, { size, theta }) => ({
    frequencies: plainFrequencies(size, theta).map((frequency) => frequency / factor),
    amplitude: 1,
  }),

  dynamic({ factor, originalContextLength }, { size, theta, contextLength }) {
    const length = Math.max(contextLength, originalContextLength);
    const growth = (factor * length) / originalContextLength - (factor - 1);
    return { frequencies: plainFrequencies(size, theta * growth ** (size / (size - 2))), amplitude: 1 };
  },

  // As transformers has it from Llama 3.1: wavelengths of more than the original context over the low factor are stretched, those
  // of less than it over the
  // high factor stay, and those between are mixed.
  llama3({ factor, lowFrequencyFactor, highFrequencyFactor, originalContextLength }, { size, theta }) {
    const frequencies = plainFrequencies(size, theta).map((frequency) => {
      const turns = (originalContextLength * frequency) / (2 * Math.PI);
      if (turns < lowFrequencyFactor) return frequency / factor;
      if (turns > highFrequencyFactor) return frequency;
      const kept = (turns - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor);
      return ((1 - kept) * frequency) / factor + kept * frequency;
    });
    return { frequencies, amplitude: 1 };
  },

  // Equations 17, 21 and 23 of YaRN.
  yarn(scaling, { size, theta }) {
    const { factor, originalContextLength, attentionFactor, betaFast, betaSlow, truncate } = scaling;
    const dimensionOf = (turns: number) =>
      (size * Math.log(originalContextLength / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
    const [fast, slow] = [dimensionOf(betaFast), dimensionOf(betaSlow)];
    const low = Math.max(truncate ? Math.floor(fast) : fast, 0);
    const high = Math.min(truncate ? Math.ceil(slow) : slow, size - 1);
    const width = high === low ? 0.001 : high - low;
    const frequencies = plainFrequencies(size, theta).map((frequency, i) => {
      const stretched = Math.min(Math.max((i - low) / width, 0), 1);
      return (stretched * frequency) / factor + (1 - stretched) * frequency;
    });
    return { frequencies, amplitude: attentionFactor };
  },

  longrope(scaling, { size, theta, contextLength }) {
    const { shortFactors, longFactors, originalContextLength, attentionFactor } = scaling;
    const factors = contextLength > originalContextLength ? longFactors : shortFactors;
    const frequencies = Float32Array.from(
      factors,
      (factor, i) => 1 / Math.fround(Math.fround(factor) * Math.fround(theta ** ((2 * i) / size))),
    );
    return { frequencies, amplitude: attentionFactor };
  },
};

/**
 * The frequencies of a rotary embedding. Those that depend on the context are chosen by the whole of it, not by what a text has
 * used of it.
 */
export function rotaryFrequencies(parameters: RotaryParameters): RotaryFrequencies {
  const { scaling, size, theta } = parameters;
  if (!scaling) return { frequencies: plainFrequencies(size, theta), amplitude: 1 };
  const scale = scalings[scaling.type] as (
    scaling: RotaryScaling,
    parameters: RotaryParameters,
  ) => RotaryFrequencies;
  return scale(scaling, parameters);
}
