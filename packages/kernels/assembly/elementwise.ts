import { exponential } from './exponential';
import { sumLanes } from './lanes';

/** target[i] += source[i]. */
export function add(target: usize, source: usize, length: u32): void {
  let i: u32 = 0;
  for (; i + 4 <= length; i += 4) {
    v128.store(target + 4 * i, f32x4.add(v128.load(target + 4 * i), v128.load(source + 4 * i)));
  }
  for (; i < length; i++) store<f32>(target + 4 * i, load<f32>(target + 4 * i) + load<f32>(source + 4 * i));
}

@inline
function gated(gate: v128, up: v128): v128 {
  const one = f32x4.splat(1);
  return f32x4.mul(f32x4.div(gate, f32x4.add(one, exponential(f32x4.neg(gate)))), up);
}

/** output[i] = silu(gate[i]) * up[i], silu(x) = x / (1 + e^-x). Output may be either input. */
export function swiGlu(gate: usize, up: usize, output: usize, length: u32): void {
  let i: u32 = 0;
  for (; i + 4 <= length; i += 4) v128.store(output + 4 * i, gated(v128.load(gate + 4 * i), v128.load(up + 4 * i)));
  for (; i < length; i++) {
    const value = gated(v128.load32_splat(gate + 4 * i), v128.load32_splat(up + 4 * i));
    store<f32>(output + 4 * i, f32x4.extract_lane(value, 0));
  }
}

/** output = input / sqrt(mean(input^2) + epsilon) * weight for each of `tokens` rows of `width`. Output may be the input. */
export function rmsNorm(input: usize, weight: usize, output: usize, tokens: u32, width: u32, epsilon: f32): void {
  const whole = width & ~3;
  for (let token: u32 = 0; token < tokens; token++) {
    let squares: v128 = f32x4.splat(0);
    for (let i: u32 = 0; i < whole; i += 4) {
      const x = v128.load(input + 4 * i);
      squares = f32x4.add(squares, f32x4.mul(x, x));
    }
    let sum = sumLanes(squares);
    for (let i = whole; i < width; i++) sum += load<f32>(input + 4 * i) * load<f32>(input + 4 * i);
    const factor: f32 = 1 / sqrt(sum / <f32>width + epsilon);
    const factors = f32x4.splat(factor);
    for (let i: u32 = 0; i < whole; i += 4) {
      v128.store(output + 4 * i, f32x4.mul(f32x4.mul(v128.load(input + 4 * i), factors), v128.load(weight + 4 * i)));
    }
    for (let i = whole; i < width; i++) store<f32>(output + 4 * i, load<f32>(input + 4 * i) * factor * load<f32>(weight + 4 * i));
    input += 4 * width;
    output += 4 * width;
  }
}

/**
 * output = (input - mean) / sqrt(variance + epsilon) * weight + bias for each of `tokens` rows of `width`. Output may be the input. The variance is
 * that of the differences to the mean, summed in a second pass.
 */
export function layerNorm(input: usize, weight: usize, bias: usize, output: usize, tokens: u32, width: u32, epsilon: f32): void {
  const whole = width & ~3;
  for (let token: u32 = 0; token < tokens; token++) {
    let sums: v128 = f32x4.splat(0);
    for (let i: u32 = 0; i < whole; i += 4) sums = f32x4.add(sums, v128.load(input + 4 * i));
    let sum = sumLanes(sums);
    for (let i = whole; i < width; i++) sum += load<f32>(input + 4 * i);
    const mean: f32 = sum / <f32>width;
    const means = f32x4.splat(mean);
    let squares: v128 = f32x4.splat(0);
    for (let i: u32 = 0; i < whole; i += 4) {
      const difference = f32x4.sub(v128.load(input + 4 * i), means);
      squares = f32x4.add(squares, f32x4.mul(difference, difference));
    }
    let square = sumLanes(squares);
    for (let i = whole; i < width; i++) square += (load<f32>(input + 4 * i) - mean) * (load<f32>(input + 4 * i) - mean);
    const factor: f32 = 1 / sqrt(square / <f32>width + epsilon);
    const factors = f32x4.splat(factor);
    for (let i: u32 = 0; i < whole; i += 4) {
      const normed = f32x4.mul(f32x4.sub(v128.load(input + 4 * i), means), factors);
      v128.store(output + 4 * i, f32x4.add(f32x4.mul(normed, v128.load(weight + 4 * i)), v128.load(bias + 4 * i)));
    }
    for (let i = whole; i < width; i++) {
      const normed = (load<f32>(input + 4 * i) - mean) * factor;
      store<f32>(output + 4 * i, normed * load<f32>(weight + 4 * i) + load<f32>(bias + 4 * i));
    }
    input += 4 * width;
    output += 4 * width;
  }
}

/** values[i] *= factor. */
export function scale(values: usize, factor: f32, length: u32): void {
  const factors = f32x4.splat(factor);
  let i: u32 = 0;
  for (; i + 4 <= length; i += 4) v128.store(values + 4 * i, f32x4.mul(v128.load(values + 4 * i), factors));
  for (; i < length; i++) store<f32>(values + 4 * i, load<f32>(values + 4 * i) * factor);
}

/** values[i] = min(max(values[i], -limit), limit). */
export function clamp(values: usize, limit: f32, length: u32): void {
  for (let i: u32 = 0; i < length; i++) {
    store<f32>(values + 4 * i, min(max(load<f32>(values + 4 * i), -limit), limit));
  }
}

/** Index of the greatest value, the lowest of equal ones. NaN is never chosen; 0 where nothing is above -Infinity. */
export function argmax(values: usize, length: u32): u32 {
  const whole = length & ~3;
  let maxima: v128 = f32x4.splat(-Infinity);
  for (let i: u32 = 0; i < whole; i += 4) maxima = f32x4.pmax(maxima, v128.load(values + 4 * i));
  maxima = f32x4.pmax(maxima, v128.shuffle<i32>(maxima, maxima, 2, 3, 0, 1));
  let greatest = max(f32x4.extract_lane(maxima, 0), f32x4.extract_lane(maxima, 1));
  for (let i = whole; i < length; i++) {
    const value = load<f32>(values + 4 * i);
    if (value > greatest) greatest = value;
  }
  if (greatest == -Infinity) return 0;
  let index: u32 = 0;
  while (load<f32>(values + 4 * index) != greatest) index++;
  return index;
}
