// Trains the Lloyd-Max level tables of packages/format/src/lloyd-level-tables.ts and prints them.
//
//   node packages/quantizer/scripts/train-level-tables.mjs
//
// Groups of 64 normally distributed weights are quantized as the encoder does it (a scale for each group, the
// best row of the table for each sharing block of 16); then every level moves to the scale-weighted mean of the
// weights that chose it, and the table is kept symmetric. Deterministic: a fixed seed and nothing else.

const groupSize = 64;
const sharingBlock = 16;
const groups = 3000;
const iterations = 60;
const scaleSteps = 24;
const seed = 20260801;

/** A small generator with good enough statistics (Mulberry32). */
function createRandom(state) {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function normalSamples(count) {
  const random = createRandom(seed);
  return Float64Array.from({ length: count }, () => {
    const radius = Math.sqrt(-2 * Math.log(1 - random()));
    return radius * Math.cos(2 * Math.PI * random());
  });
}

function nearest(levels, row, rows, value) {
  let best = row;
  for (let code = row + rows; code < levels.length; code += rows) {
    if (Math.abs(levels[code] - value) >= Math.abs(levels[best] - value)) break;
    best = code;
  }
  return best;
}

/** Codes and squared error of one group at one scale. */
function encode(weights, start, levels, sharedBits, scale, codes) {
  const rows = 2 ** sharedBits;
  let total = 0;
  const trial = new Uint8Array(sharingBlock);
  for (let block = 0; block < groupSize; block += sharingBlock) {
    let least = Number.POSITIVE_INFINITY;
    for (let row = 0; row < rows; row++) {
      let error = 0;
      for (let i = 0; i < sharingBlock; i++) {
        const weight = weights[start + block + i];
        trial[i] = nearest(levels, row, rows, weight / scale);
        error += (weight - scale * levels[trial[i]]) ** 2;
      }
      if (error < least) {
        least = error;
        codes.set(trial, block);
      }
    }
    total += least;
  }
  return total;
}

/** The table of `bits` bits, of which the low `sharedBits` are shared. */
function train(bits, sharedBits) {
  const weights = normalSamples(groups * groupSize);
  const count = 2 ** bits;
  let levels = Float64Array.from({ length: count }, (_, code) => (2 * code - count + 1) / count);
  const codes = new Uint8Array(groupSize);
  const bestCodes = new Uint8Array(groupSize);
  for (let iteration = 0; iteration < iterations; iteration++) {
    const numerators = new Float64Array(count);
    const denominators = new Float64Array(count);
    let total = 0;
    for (let start = 0; start < weights.length; start += groupSize) {
      const largest = weights
        .subarray(start, start + groupSize)
        .reduce((a, b) => Math.max(a, Math.abs(b)), 0);
      let least = Number.POSITIVE_INFINITY;
      let bestScale = 0;
      for (let step = 0; step < scaleSteps; step++) {
        const scale = (largest / levels[count - 1]) * 2 ** ((4 - step) / 24);
        const error = encode(weights, start, levels, sharedBits, scale, codes);
        if (error < least) {
          least = error;
          bestScale = scale;
          bestCodes.set(codes);
        }
      }
      total += least;
      for (let i = 0; i < groupSize; i++) {
        numerators[bestCodes[i]] += bestScale * weights[start + i];
        denominators[bestCodes[i]] += bestScale ** 2;
      }
    }
    const means = levels.map((level, code) =>
      denominators[code] > 0 ? numerators[code] / denominators[code] : level,
    );
    levels = means.map((level, code) => (level - means[count - 1 - code]) / 2).sort();
    if (iteration % 20 === 19) {
      console.error(
        `${bits} bits, iteration ${iteration + 1}: ${(10 * Math.log10(weights.length / total)).toFixed(3)} dB`,
      );
    }
  }
  // Integers from 0 to 127 around 63.5, no two alike.
  const upper = Array.from(levels.subarray(count / 2), (level) =>
    Math.round((63.5 * level) / levels[count - 1] - 0.5),
  );
  for (let i = 1; i < upper.length; i++) upper[i] = Math.max(upper[i], upper[i - 1] + 1);
  return [...upper.map((level) => 63 - level).reverse(), ...upper.map((level) => 64 + level)];
}

const tables = [
  [3, 0],
  [4, 0],
  [5, 2],
  [6, 2],
];
for (const [bits, sharedBits] of tables) console.log(`${bits}: [${train(bits, sharedBits).join(', ')}]`);
