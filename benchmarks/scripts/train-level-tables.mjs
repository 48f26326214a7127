// Trains the Lloyd-Max level tables of packages/format/src/lloyd-level-tables.ts and prints them, with the signal to noise
// that each variant reaches on layers that it was not trained on.
//
//   pnpm build
//   node benchmarks/scripts/train-level-tables.mjs [model ...]
//
// Models are what `openModel` takes; without any, datasets/reference-lm, on which the tables of the package were trained. A model
// that was quantized before, such as a GGUF of 4 bits, is no good for training: the levels of a table of 64 settle on its grid.
//
// Training takes groups of the decoder matrices of layers 0, 1, 3, 4, 6, 7 ...; layers 2, 5, 8 ... measure the result. Deterministic.

import { decibels, groupSize, monotone, rounded, symmetric, train, withZeroAt } from './level-training.mjs';
import { normalGroups, readGroups } from './weight-groups.mjs';

const models = process.argv.slice(2);
if (models.length === 0) models.push('datasets/reference-lm');

const groups = 6000;
const iterations = 60;
const isHeldOut = (layer) => layer % 3 === 2;
const isTrainedOn = (layer) => layer % 3 < 2;

/** Private bits, shared bits and the weights that share them, of each table. */
const tables = [
  [3, 0, groupSize],
  [4, 0, groupSize],
  [2, 2, 8],
  [3, 2, 8],
  [4, 2, 8],
];

/** Where the iteration begins: levels that are denser in the middle, about as those of a normal distribution are. */
function initialLevels(count) {
  return Float64Array.from({ length: count }, (_, code) => {
    const place = (2 * code + 1 - count) / count;
    return place + (2 / 3) * place ** 3;
  });
}

const training = await Promise.all(
  models.map((path) => readGroups(path, { isWanted: isTrainedOn, count: groups })),
);
const weights = Float64Array.from(training.flatMap((part) => Array.from(part)));

const heldOut = [];
for (const path of models)
  heldOut.push([path, await readGroups(path, { isWanted: isHeldOut, count: groups })]);
heldOut.push(['normal samples', normalGroups(groups * groupSize)]);
console.log(heldOut.map(([name]) => name).join('; '));

for (const [privateBits, sharedBits, sharingBlock] of tables) {
  const sharing = { rows: 2 ** sharedBits, sharingBlock };
  const count = 2 ** (privateBits + sharedBits);
  const start = initialLevels(count);
  const below = start.map((level) => level - start[count / 2 - 1]);
  const variants = [
    ['symmetric', start, symmetric],
    ['free', start, monotone],
    ['with a zero', below, withZeroAt(count / 2 - 1)],
  ];
  for (const [name, initial, constrain] of variants) {
    const levels = rounded(train(weights, initial, sharing, iterations, constrain));
    const measured = heldOut.map(([, part]) => decibels(part, levels, sharing).toFixed(3));
    console.log(`${privateBits} + ${sharedBits} bits, ${name}: ${measured.join(', ')} dB`);
    console.log(`  centre 128: [${levels.map((level) => level + 128).join(', ')}]`);
  }
}
