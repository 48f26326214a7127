import { openModel } from '@lbs/model-loaders/node';
import { groupSize } from './level-training.mjs';

const decoderMatrix = /^model\.layers\.(\d+)\..*_proj\.weight$/;

/** `count` groups of the decoder matrices of a model, evenly picked from the layers that `isWanted` accepts. Each matrix has a mean square of 1. */
export async function readGroups(path, { isWanted, count }) {
  const model = await openModel(path);
  try {
    const names = model.tensorNames
      .filter((name) => isWanted(Number(decoderMatrix.exec(name)?.[1] ?? Number.NaN)))
      .sort();
    const groupsOfEach = Math.floor(count / names.length);
    const groups = new Float64Array(names.length * groupsOfEach * groupSize);
    for (const [i, name] of names.entries()) {
      const weights = normalized(await model.readFloat32(name));
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

function normalized(weights) {
  const power = weights.reduce((sum, weight) => sum + weight ** 2, 0);
  const factor = Math.sqrt(weights.length / power);
  return weights.map((weight) => weight * factor);
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
