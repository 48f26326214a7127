// What train-level-tables.mjs trains and measures with: groups of real weights, their best scales, and the Lloyd-Max steps.

export const groupSize = 64;

/** Entries of a look-up table for one unit of a level: finer than any border between levels needs to be. */
const resolution = 8;
/** Look-up tables reach this far to both sides of zero, in units of a level. */
const reach = 160;
const width = 2 * reach * resolution + 1;
/** Scales to try below the one that reaches the largest weight, in 32nds of an octave, as `log8` stores them. */
const coarseSteps = Array.from({ length: 12 }, (_, i) => 2 ** ((6 - 4 * i) / 32));
const fineSteps = [-3, -2, -1, 1, 2, 3].map((i) => 2 ** (i / 32));
const nearbySteps = [-2, -1, 0, 1, 2].map((i) => 2 ** (i / 32));

/** For each row of a table and each place of the look-up table, the nearest code; a code is the index of its level. */
function nearestCodes(levels, rows) {
  const codes = new Uint8Array(rows * width);
  for (let row = 0; row < rows; row++) {
    let code = row;
    for (let i = 0; i < width; i++) {
      const value = i / resolution - reach;
      while (code + rows < levels.length && 2 * value >= levels[code] + levels[code + rows]) code += rows;
      codes[row * width + i] = code;
    }
  }
  return codes;
}

/**
 * Quantizes groups as the encoder does: the best row of the table for each sharing block at a given scale. `rows` of the table are interleaved,
 * `sharingBlock` weights choose one.
 */
export class GroupQuantizer {
  /** [groupSize] codes of the last call. */
  codes = new Uint8Array(groupSize);

  constructor(levels, { rows, sharingBlock }) {
    this.levels = levels;
    this.rows = rows;
    this.nearest = nearestCodes(levels, rows);
    this.trial = new Uint8Array(sharingBlock);
  }

  /** The squared error at a scale. */
  encode(weights, start, scale) {
    const { levels, rows, nearest, trial } = this;
    const sharingBlock = trial.length;
    const inverse = 1 / scale;
    let total = 0;
    for (let block = 0; block < groupSize; block += sharingBlock) {
      let least = Number.POSITIVE_INFINITY;
      for (let row = 0; row < rows; row++) {
        let error = 0;
        for (let i = 0; i < sharingBlock; i++) {
          const value = weights[start + block + i] * inverse;
          const place = Math.min(Math.max(Math.round((value + reach) * resolution), 0), width - 1);
          const code = nearest[row * width + place];
          const difference = value - levels[code];
          error += difference * difference;
          trial[i] = code;
        }
        if (error < least) {
          least = error;
          this.codes.set(trial, block);
        }
      }
      total += least;
    }
    return total * scale * scale;
  }

  /** The scale with the least error and that error: of all scales, or of those around `near`. */
  search(weights, start, near) {
    let scale = 0;
    let error = Number.POSITIVE_INFINITY;
    const consider = (candidate) => {
      const found = this.encode(weights, start, candidate);
      if (found < error) [scale, error] = [candidate, found];
    };
    if (near > 0) {
      for (const step of nearbySteps) consider(near * step);
    } else {
      const reaching = this.#reachingScale(weights, start);
      if (reaching === 0) return { scale: 0, error: 0 };
      for (const step of coarseSteps) consider(reaching * step);
      const coarse = scale;
      for (const step of fineSteps) consider(coarse * step);
    }
    return { scale, error };
  }

  #reachingScale(weights, start) {
    let reaching = 0;
    for (let i = start; i < start + groupSize; i++) {
      const outermost = weights[i] > 0 ? this.levels.at(-1) : this.levels[0];
      if (weights[i] / outermost > reaching) reaching = weights[i] / outermost;
    }
    return reaching;
  }
}

/** Signal to noise in dB of groups that are normalised to equal power. */
export function decibels(weights, levels, sharing) {
  const quantizer = new GroupQuantizer(levels, sharing);
  let noise = 0;
  let signal = 0;
  for (let start = 0; start < weights.length; start += groupSize) {
    noise += quantizer.search(weights, start).error;
    for (let i = start; i < start + groupSize; i++) signal += weights[i] ** 2;
  }
  return 10 * Math.log10(signal / noise);
}

/**
 * The Lloyd-Max iteration: each group takes its best scale and codes, then every level moves to the mean of the
 * weights that chose it, in units of their scales and weighted with the scales squared. `constrain` mends the
 * levels after each step. Returns real-valued levels around 0 and how much each one counts.
 */
export function train(weights, initial, sharing, iterations, constrain) {
  let levels = constrain(Float64Array.from(initial));
  const count = levels.length;
  const scales = new Float64Array(weights.length / groupSize);
  let denominators = new Float64Array(count);
  for (let iteration = 0; iteration < iterations; iteration++) {
    const quantizer = new GroupQuantizer(levels, sharing);
    const numerators = new Float64Array(count);
    denominators = new Float64Array(count);
    for (let group = 0; group < scales.length; group++) {
      const start = group * groupSize;
      const { scale } = quantizer.search(weights, start, iteration % 10 === 0 ? 0 : scales[group]);
      scales[group] = scale;
      if (scale === 0) continue;
      quantizer.encode(weights, start, scale);
      for (let i = 0; i < groupSize; i++) {
        numerators[quantizer.codes[i]] += scale * weights[start + i];
        denominators[quantizer.codes[i]] += scale * scale;
      }
    }
    levels = constrain(
      levels.map((level, code) => (denominators[code] > 0 ? numerators[code] / denominators[code] : level)),
      denominators,
    );
    const outermost = Math.max(-levels[0], levels[count - 1]);
    for (let code = 0; code < count; code++) levels[code] *= 127 / outermost;
    for (let group = 0; group < scales.length; group++) scales[group] *= outermost / 127;
  }
  return { levels, counts: denominators };
}

/** Weighted isotonic regression: the nearest levels that do not descend. */
export function monotone(levels, counts) {
  const blocks = [];
  levels.forEach((level, code) => {
    blocks.push({ level, count: (counts?.[code] ?? 1) + 1e-9, size: 1 });
    while (blocks.length > 1 && blocks.at(-2).level > blocks.at(-1).level) {
      const last = blocks.pop();
      const before = blocks.at(-1);
      before.level = (before.level * before.count + last.level * last.count) / (before.count + last.count);
      before.count += last.count;
      before.size += last.size;
    }
  });
  return Float64Array.from(blocks.flatMap(({ level, size }) => Array(size).fill(level)));
}

/** The same with the level of one code held at zero. */
export function withZeroAt(zeroCode) {
  const hold = 1e12;
  return (levels, counts) => {
    const held = levels.map((level, code) => (code === zeroCode ? 0 : level));
    const shares = held.map((_, code) => (code === zeroCode ? hold : (counts?.[code] ?? 1)));
    return monotone(held, shares).map((level, code) => (code === zeroCode ? 0 : level));
  };
}

/** Monotone, and level(q) = -level(count - 1 - q). */
export function symmetric(levels, counts) {
  const count = levels.length;
  const share = (code) => (counts?.[code] ?? 1) + 1e-9;
  const means = levels.map((level, code) => {
    const mirror = count - 1 - code;
    return (share(code) * level - share(mirror) * levels[mirror]) / (share(code) + share(mirror));
  });
  return monotone(
    means,
    means.map((_, code) => share(code) + share(count - 1 - code)),
  );
}

/** Whole levels from -128 to 127: the multiple of the real-valued levels that rounding moves least. */
export function rounded({ levels, counts }) {
  const most = Math.min(128 / -levels[0], 127 / levels.at(-1));
  let best;
  for (let step = 0; step <= 200; step++) {
    const factor = most * (1 - step / 2000);
    const whole = Array.from(levels, (level) => Math.round(factor * level));
    let error = 0;
    whole.forEach((level, code) => {
      error += counts[code] * (level / factor - levels[code]) ** 2;
    });
    if (!best || error < best.error) best = { error, whole };
  }
  return best.whole;
}
