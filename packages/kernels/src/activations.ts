/**
 * How the activations meet a quantized matrix: rounded to 8 or 16 bits, with one scale for a token and a chunk of columns, or as they are. Int8 and
 * int16 cost the same with plain SIMD; relaxed SIMD multiplies bytes twice as fast. Float32 decodes the weights for every
 * product: it is for evaluation that must not add an error of its own.
 */
export type ActivationPrecision = 'int8' | 'int16' | 'float32';

/** The largest code of activations; the smallest is its negative. */
export const largestCode = { int8: 127, int16: 32767 } as const;
