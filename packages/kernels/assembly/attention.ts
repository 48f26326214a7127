import { capped, softcap } from './activations';
import { innerProduct } from './dense';
import { exponential } from './exponential';
import { sumLanes, sumOfEachF32 } from './lanes';

/**
 * Rotary position embedding in place on the first `rotaryDim` dimensions of each head of [tokens, heads, headDim], in the "rotate half" convention:
 * dimension i turns with dimension i + rotaryDim / 2. `cosines` and `sines` are [positions, rotaryDim / 2]; token t has position start + t.
 */
export function rotate(
  values: usize,
  cosines: usize,
  sines: usize,
  tokens: u32,
  heads: u32,
  headDim: u32,
  rotaryDim: u32,
  start: u32,
): void {
  const half = rotaryDim >> 1;
  const whole = half & ~3;
  for (let token: u32 = 0; token < tokens; token++) {
    const cosine = cosines + 4 * (start + token) * half;
    const sine = sines + 4 * (start + token) * half;
    for (let head: u32 = 0; head < heads; head++) {
      const other = values + 4 * half;
      for (let i: u32 = 0; i < 4 * whole; i += 16) {
        const x = v128.load(values + i);
        const y = v128.load(other + i);
        const c = v128.load(cosine + i);
        const s = v128.load(sine + i);
        v128.store(values + i, f32x4.sub(f32x4.mul(x, c), f32x4.mul(y, s)));
        v128.store(other + i, f32x4.add(f32x4.mul(y, c), f32x4.mul(x, s)));
      }
      for (let i = 4 * whole; i < 4 * half; i += 4) {
        const x = load<f32>(values + i);
        const y = load<f32>(other + i);
        const c = load<f32>(cosine + i);
        const s = load<f32>(sine + i);
        store<f32>(values + i, x * c - y * s);
        store<f32>(other + i, y * c + x * s);
      }
      values += 4 * headDim;
    }
  }
}

/** scores[position] = scale * <query, key of the position>, four positions at a time; returns the greatest. */
@inline
function scoreKeys(query: usize, keys: usize, stride: usize, headDim: u32, length: u32, scale: f32, scores: usize): f32 {
  let maxima: v128 = f32x4.splat(-Infinity);
  const scales = f32x4.splat(scale);
  let position: u32 = 0;
  for (; position + 4 <= length; position += 4) {
    let s0: v128 = f32x4.splat(0);
    let s1: v128 = f32x4.splat(0);
    let s2: v128 = f32x4.splat(0);
    let s3: v128 = f32x4.splat(0);
    const k0 = keys;
    const k1 = k0 + stride;
    const k2 = k1 + stride;
    const k3 = k2 + stride;
    for (let i: u32 = 0; i < 4 * headDim; i += 16) {
      const q = v128.load(query + i);
      s0 = f32x4.add(s0, f32x4.mul(q, v128.load(k0 + i)));
      s1 = f32x4.add(s1, f32x4.mul(q, v128.load(k1 + i)));
      s2 = f32x4.add(s2, f32x4.mul(q, v128.load(k2 + i)));
      s3 = f32x4.add(s3, f32x4.mul(q, v128.load(k3 + i)));
    }
    const sums = f32x4.mul(sumOfEachF32(s0, s1, s2, s3), scales);
    maxima = f32x4.max(maxima, sums);
    v128.store(scores + 4 * position, sums);
    keys += 4 * stride;
  }
  maxima = f32x4.max(maxima, v128.shuffle<i32>(maxima, maxima, 2, 3, 0, 1));
  let greatest = max(f32x4.extract_lane(maxima, 0), f32x4.extract_lane(maxima, 1));
  for (; position < length; position++, keys += stride) {
    const score = innerProduct(query, keys, headDim) * scale;
    store<f32>(scores + 4 * position, score);
    greatest = max(greatest, score);
  }
  return greatest;
}

/** scores = e^(scores - greatest); returns their sum. The last vector is filled up with -Infinity: `scores` holds 3 floats more. */
@inline
function exponentialsAndSum(scores: usize, length: u32, greatest: f32): f32 {
  const shift = f32x4.splat(greatest);
  v128.store(scores + 4 * length, f32x4.splat(-Infinity));
  let sum: v128 = f32x4.splat(0);
  for (let i: u32 = 0; i < length; i += 4) {
    const e = exponential(f32x4.sub(v128.load(scores + 4 * i), shift));
    v128.store(scores + 4 * i, e);
    sum = f32x4.add(sum, e);
  }
  return sumLanes(sum);
}

/** output[i] = factor * sum over positions of scores[position] * values[position, i], 16 dimensions at a time. */
@inline
function mixValues(scores: usize, values: usize, stride: usize, headDim: u32, length: u32, factor: f32, output: usize): void {
  const factors = f32x4.splat(factor);
  const end = scores + 4 * length;
  let i: u32 = 0;
  for (; i + 16 <= headDim; i += 16) {
    let s0: v128 = f32x4.splat(0);
    let s1: v128 = f32x4.splat(0);
    let s2: v128 = f32x4.splat(0);
    let s3: v128 = f32x4.splat(0);
    let v = values + 4 * i;
    for (let score = scores; score < end; score += 4, v += stride) {
      const p = v128.load32_splat(score);
      s0 = f32x4.add(s0, f32x4.mul(p, v128.load(v)));
      s1 = f32x4.add(s1, f32x4.mul(p, v128.load(v, 16)));
      s2 = f32x4.add(s2, f32x4.mul(p, v128.load(v, 32)));
      s3 = f32x4.add(s3, f32x4.mul(p, v128.load(v, 48)));
    }
    v128.store(output + 4 * i, f32x4.mul(s0, factors));
    v128.store(output + 4 * i, f32x4.mul(s1, factors), 16);
    v128.store(output + 4 * i, f32x4.mul(s2, factors), 32);
    v128.store(output + 4 * i, f32x4.mul(s3, factors), 48);
  }
  for (; i < headDim; i += 4) {
    let sum: v128 = f32x4.splat(0);
    let v = values + 4 * i;
    for (let score = scores; score < end; score += 4, v += stride) {
      sum = f32x4.add(sum, f32x4.mul(v128.load32_splat(score), v128.load(v)));
    }
    v128.store(output + 4 * i, f32x4.mul(sum, factors));
  }
}

/** received[position] += factor * scores[position]. */
@inline
function addReceived(scores: usize, length: u32, factor: f32, received: usize): void {
  const factors = f32x4.splat(factor);
  const whole = length & ~3;
  for (let i: u32 = 0; i < 4 * whole; i += 16) {
    const share = f32x4.mul(v128.load(scores + i), factors);
    v128.store(received + i, f32x4.add(v128.load(received + i), share));
  }
  for (let i = 4 * whole; i < 4 * length; i += 4) {
    store<f32>(received + i, load<f32>(received + i) + load<f32>(scores + i) * factor);
  }
}

/**
 * Causal attention: queries [tokens, heads, headDim] over keys and values [positions, kvHeads, headDim], token t sees the last `window` of
 * positions 0 to start + t. Head h reads key head h / (heads / kvHeads). headDim is a multiple of 4. Computes the heads from `firstHead` up to
 * `endHead`. `scores` holds start + tokens + 4 floats. Where `received` [heads, receivedStride] is not 0, the attention that each position gets
 * from the tokens is added to it. Products are multiplied by `scale`; where `cap` is not 0, they are kept within it by its hyperbolic tangent.
 */
export function attend(
  queries: usize,
  keys: usize,
  values: usize,
  output: usize,
  tokens: u32,
  heads: u32,
  kvHeads: u32,
  headDim: u32,
  start: u32,
  firstHead: u32,
  endHead: u32,
  scores: usize,
  received: usize,
  receivedStride: u32,
  scale: f32,
  window: u32,
  cap: f32,
): void {
  const stride = 4 * kvHeads * headDim;
  const headsPerKeyHead = heads / kvHeads;
  for (let head = firstHead; head < endHead; head++) {
    const offset = 4 * headDim * (head / headsPerKeyHead);
    for (let token: u32 = 0; token < tokens; token++) {
      const seen = start + token + 1;
      const length = min(seen, window);
      const first = seen - length;
      const begin = offset + stride * first;
      const place = 4 * headDim * (token * heads + head);
      let greatest = scoreKeys(queries + place, keys + begin, stride, headDim, length, scale, scores);
      if (cap) {
        softcap(scores, cap, length);
        // The greatest stays the greatest; shifted by the cap itself, scores far below it would all round to 0.
        greatest = f32x4.extract_lane(capped(f32x4.splat(greatest), cap), 0);
      }
      const sum = exponentialsAndSum(scores, length, greatest);
      if (received) addReceived(scores, length, 1 / sum, received + 4 * (head * receivedStride + first));
      mixValues(scores, values + begin, stride, headDim, length, 1 / sum, output + place);
    }
  }
}
