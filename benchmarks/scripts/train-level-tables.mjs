// Trains the Lloyd-Max level tables of packages/format/src/lloyd-level-tables.ts and prints them, with the signal to noise
// that each variant reaches on layers that it was not trained on.
//
//   pnpm build
//   node benchmarks/scripts/train-level-tables.mjs [model ...]
//
// Models are what `openModel` takes; without any, datasets/reference-lm, on which the tables of the package were trained. A model
// that was quantized before, such as a GGUF of 4 bits, is no good for training: the levels of a table of 64 settle on its grid.
//
// Training takes groups of the decoder matrices of layers 0, 1, 3, 4, 6, 7 ..., without the 0.5 % largest weights of each
// matrix: those are salient and do not count in the fit of a scale. Layers 2, 5, 8 ... measure the result. Deterministic.

import { decibels, groupSize, monotone, rounded, symmetric, train, withZeroAt } from './level-training.mjs';
import { normalGroups, readGroups } from './weight-groups.mjs';

const models = process.argv.slice(2);
if (models.length === 0) models.push('datasets/reference-lm');

const groups = 3000;
const iterations = 50;
const salient = 0.005;
const isHeldOut = (layer) => layer % 3 === 2;
const isTrainedOn = (layer) => layer % 3 < 2;

/** Private and shared bits of each table. */
const tables = [
  [3, 0],
  [4, 0],
  [2, 2],
  [3, 2],
  [4, 2],
];

/** Where the iteration begins: levels that are denser in the middle, about as those of a normal distribution are. */
function initialLevels(count) {
  return Float64Array.from({ length: count }, (_, code) => {
    const place = (2 * code + 1 - count) / count;
    return place + (2 / 3) * place ** 3;
  });
}

const training = await Promise.all(
  models.map((path) => readGroups(path, { isWanted: isTrainedOn, count: groups, salient })),
);
const weights = Float64Array.from(training.flatMap((part) => Array.from(part)));

const heldOut = [];
for (const path of models) {
  for (const fraction of [salient, 0]) {
    const part = await readGroups(path, { isWanted: isHeldOut, count: groups, salient: fraction });
    heldOut.push([`${path} without ${100 * fraction} %`, part]);
  }
}
heldOut.push(['normal samples', normalGroups(groups * groupSize)]);
console.log(heldOut.map(([name]) => name).join('; '));

for (const [privateBits, sharedBits] of tables) {
  const count = 2 ** (privateBits + sharedBits);
  const start = initialLevels(count);
  const below = start.map((level) => level - start[count / 2 - 1]);
  const variants = [
    ['symmetric', start, symmetric],
    ['free', start, monotone],
    ['with a zero', below, withZeroAt(count / 2 - 1)],
  ];
  for (const [name, initial, constrain] of variants) {
    const levels = rounded(train(weights, initial, 2 ** sharedBits, iterations, constrain));
    const measured = heldOut.map(([, part]) => decibels(part, levels, 2 ** sharedBits).toFixed(3));
    console.log(`${privateBits} + ${sharedBits} bits, ${name}: ${measured.join(', ')} dB`);
    console.log(`  centre 128: [${levels.map((level) => level + 128).join(', ')}]`);
  }
}
