import { openModel } from '@lbs/model-loaders/node';
import { groupSize } from './level-training.mjs';

const decoderMatrix = /^model\.layers\.(\d+)\..*_proj\.weight$/;

/**
 * Groups of the decoder matrices of a model, evenly picked, `count` in all: from the layers
 * that `isWanted` accepts. Each matrix has a mean square of 1. The largest weights, a `salient` fraction of each matrix, are NaN: they do not count.
 */
export async function readGroups(path, { isWanted, count, salient }) {
  const model = await openModel(path);
  try {
    const names = model.tensorNames
      .filter((name) => isWanted(Number(decoderMatrix.exec(name)?.[1] ?? Number.NaN)))
      .sort();
    const groupsOfEach = Math.floor(count / names.length);
    const groups = new Float64Array(names.length * groupsOfEach * groupSize);
    for (const [i, name] of names.entries()) {
      const weights = withoutLargest(await model.readFloat32(name), salient);
      const available = Math.floor(weights.length / groupSize);
      for (let j = 0; j < groupsOfEach; j++) {
        const start = groupSize * Math.floor(((j + 0.5) * available) / groupsOfEach);
        groups.set(weights.subarray(start, start + groupSize), (i * groupsOfEach + j) * groupSize);
      }
    }
    return groups;
  } finally {
    await model.close();
  }
}

function withoutLargest(weights, fraction) {
  const magnitudes = weights.map(Math.abs).sort();
  const kept = weights.length - Math.floor(fraction * weights.length);
  const border = magnitudes[kept - 1];
  let power = 0;
  for (let i = 0; i < kept; i++) power += magnitudes[i] ** 2;
  const factor = Math.sqrt(kept / power);
  return weights.map((weight) => (Math.abs(weight) > border ? Number.NaN : weight * factor));
}

/** Normally distributed samples, the same every time. */
export function normalGroups(count) {
  let state = 1;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  return Float64Array.from(
    { length: count },
    () => Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random()),
  );
}
