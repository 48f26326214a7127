import { QuantizedHeader } from './quantized-header';

// Shared bits that lie anyhow in the bytes of a row's unit: a lane would need a shift of its own. Instead each bit is fetched by a choice of
// byte and a mask of one bit; `patterns` holds both for [quarter, bit].

@inline
function sharedBit(bits: v128, pattern: usize, value: v128): v128 {
  const mask = v128.load(pattern, 16);
  const isSet = i8x16.eq(v128.and(v128.swizzle(bits, v128.load(pattern)), mask), mask);
  return v128.and(isSet, value);
}

/** The shared codes, of 1 or 2 bits (`offsetof<S>()`), of a quarter's 16 columns from the `bits` of its unit. */
@inline
export function quarterSharedCodes<S>(bits: v128, quarter: i32, patterns: usize): v128 {
  const pattern = patterns + 32 * offsetof<S>() * quarter;
  const codes = sharedBit(bits, pattern, i8x16.splat(1));
  if (offsetof<S>() == 1) return codes;
  return v128.or(codes, sharedBit(bits, pattern + 32, i8x16.splat(2)));
}

/** The same for any number of bits. */
@inline
export function quarterSharedCodesOfAny(bits: v128, quarter: i32, m: QuantizedHeader): v128 {
  let codes: v128 = i64x2.splat(0);
  let pattern = m.patterns + 32 * quarter * m.sharedBits;
  for (let bit: u32 = 0; bit < m.sharedBits; bit++, pattern += 32) {
    codes = v128.or(codes, sharedBit(bits, pattern, i8x16.splat(<i8>((<i32>1) << bit))));
  }
  return codes;
}
