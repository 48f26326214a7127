/** A floating-point type of at most 8 bits, as its specification gives it. */
interface SmallFloat {
  readonly exponentBits: number;
  readonly mantissaBits: number;
  readonly bias: number;
  /**
   * What the codes of the largest exponent stand for: values (OCP E2M1), values and for the last one NaN (OCP E4M3, `fn`), infinity
   * and NaN (IEEE 754, OCP E5M2), or values, with the NaN in the place of minus zero (`fnuz` of Graphcore and AMD).
   */
  readonly specials: 'none' | 'last' | 'ieee' | 'minus zero';
}

/** Values of all codes of a type. */
function valuesOf({ exponentBits, mantissaBits, bias, specials }: SmallFloat): Float32Array<ArrayBuffer> {
  const signBit = 1 << (exponentBits + mantissaBits);
  const lastExponent = (1 << exponentBits) - 1;
  return Float32Array.from({ length: 2 * signBit }, (_, code) => {
    const exponent = (code & (signBit - 1)) >>> mantissaBits;
    const mantissa = code & ((1 << mantissaBits) - 1);
    if (specials === 'minus zero' && code === signBit) return Number.NaN;
    if (specials === 'last' && (code & (signBit - 1)) === signBit - 1) return Number.NaN;
    if (specials === 'ieee' && exponent === lastExponent && mantissa > 0) return Number.NaN;
    const sign = code & signBit ? -1 : 1;
    if (specials === 'ieee' && exponent === lastExponent) return sign * Number.POSITIVE_INFINITY;
    const fraction = mantissa / 2 ** mantissaBits;
    return sign * (exponent === 0 ? fraction * 2 ** (1 - bias) : (1 + fraction) * 2 ** (exponent - bias));
  });
}

/** OCP Microscaling Formats 1.0, 5.3: FP4 and its 16 codes. */
export const float4E2M1 = valuesOf({ exponentBits: 2, mantissaBits: 1, bias: 1, specials: 'none' });
/** OCP 8-bit Floating Point Specification 1.0, E4M3: 448 is the largest value, there is no infinity. */
export const float8E4M3 = valuesOf({ exponentBits: 4, mantissaBits: 3, bias: 7, specials: 'last' });
/** The same specification, E5M2. */
export const float8E5M2 = valuesOf({ exponentBits: 5, mantissaBits: 2, bias: 15, specials: 'ieee' });
/** "8-bit Numerical Formats for Deep Neural Networks" (arXiv 2206.02915). */
export const float8E4M3Fnuz = valuesOf({ exponentBits: 4, mantissaBits: 3, bias: 8, specials: 'minus zero' });
export const float8E5M2Fnuz = valuesOf({
  exponentBits: 5,
  mantissaBits: 2,
  bias: 16,
  specials: 'minus zero',
});

/** OCP Microscaling Formats 1.0, 5.4.1: powers of two without a sign, the last code NaN. */
export const float8E8M0 = Float32Array.from({ length: 256 }, (_, code) =>
  code === 255 ? Number.NaN : 2 ** (code - 127),
);
