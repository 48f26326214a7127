import { exponential } from './exponential';

const silu: u32 = 0;
const gelu: u32 = 1;
const geluTanh: u32 = 2;

/** x / (1 + e^-argument). */
@inline
function timesSigmoid(x: v128, argument: v128): v128 {
  return f32x4.div(x, f32x4.add(f32x4.splat(1), exponential(f32x4.neg(argument))));
}

@inline
function polynomial(sum: v128, t: v128, coefficient: f32): v128 {
  return f32x4.add(f32x4.mul(sum, t), f32x4.splat(coefficient));
}

/**
 * x times the normal distribution function at x, whose error is at most 7.5e-8: 1 - erf(z) as a polynomial in 1 / (1 + p z) times e^(-z^2)
 * (Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26).
 */
@inline
function timesNormalDistribution(x: v128): v128 {
  const one = f32x4.splat(1);
  const z = f32x4.mul(f32x4.abs(x), f32x4.splat(0.70710678));
  const t = f32x4.div(one, f32x4.add(one, f32x4.mul(z, f32x4.splat(0.3275911))));
  let sum: v128 = f32x4.splat(1.061405429);
  sum = polynomial(sum, t, -1.453152027);
  sum = polynomial(sum, t, 1.421413741);
  sum = polynomial(sum, t, -0.284496736);
  sum = polynomial(sum, t, 0.254829592);
  const tail = f32x4.mul(f32x4.mul(f32x4.mul(sum, t), exponential(f32x4.neg(f32x4.mul(z, z)))), f32x4.splat(0.5));
  const isNegative = f32x4.lt(x, f32x4.splat(0));
  return f32x4.mul(x, v128.bitselect(tail, f32x4.sub(one, tail), isNegative));
}

@inline
function activated(kind: u32, x: v128): v128 {
  if (kind == silu) return timesSigmoid(x, x);
  if (kind == gelu) return timesNormalDistribution(x);
  if (kind == geluTanh) {
    // (1 + tanh(u)) / 2 = 1 / (1 + e^(-2u)) with u = sqrt(2 / pi) * (x + 0.044715 x^3).
    const cube = f32x4.mul(f32x4.mul(f32x4.mul(x, x), x), f32x4.splat(0.044715));
    return timesSigmoid(x, f32x4.mul(f32x4.add(x, cube), f32x4.splat(1.5957691216)));
  }
  return f32x4.max(x, f32x4.splat(0));
}

/** output[i] = activation(gate[i]) * up[i]; without the factor where `up` is 0. Output may be either input. */
export function activate(kind: u32, gate: usize, up: usize, output: usize, length: u32): void {
  let i: u32 = 0;
  for (; i + 4 <= length; i += 4) {
    const value = activated(kind, v128.load(gate + 4 * i));
    v128.store(output + 4 * i, up ? f32x4.mul(value, v128.load(up + 4 * i)) : value);
  }
  for (; i < length; i++) {
    const value = f32x4.extract_lane(activated(kind, v128.load32_splat(gate + 4 * i)), 0);
    store<f32>(output + 4 * i, up ? value * load<f32>(up + 4 * i) : value);
  }
}

/** cap * tanh(x / cap) of four numbers; the error is at most about 2^-23 * cap. */
@inline
export function capped(x: v128, cap: f32): v128 {
  const one = f32x4.splat(1);
  const power = exponential(f32x4.mul(x, f32x4.splat(2 / cap)));
  const tangent = f32x4.sub(one, f32x4.div(f32x4.splat(2), f32x4.add(power, one)));
  return f32x4.mul(tangent, f32x4.splat(cap));
}

/** values[i] = cap * tanh(values[i] / cap). */
export function softcap(values: usize, cap: f32, length: u32): void {
  let i: u32 = 0;
  for (; i + 4 <= length; i += 4) v128.store(values + 4 * i, capped(v128.load(values + 4 * i), cap));
  for (; i < length; i++) {
    store<f32>(values + 4 * i, f32x4.extract_lane(capped(v128.load32_splat(values + 4 * i), cap), 0));
  }
}
