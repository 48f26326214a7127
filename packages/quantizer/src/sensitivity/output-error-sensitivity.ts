import { addSquares, type MatrixSensitivity, type Sensitivity, sumOverInputs } from './sensitivity.js';

/**
 * By the relative error of each layer's outputs, as far as the diagonal of the Hessian of its inputs tells it: every layer counts the same, whatever its
 * place in the model. Needs no gradients; embedding and head are not measured.
 */
export const outputErrorSensitivity: Sensitivity = {
  name: 'output-error',
  async measure(input) {
    const { source, signal, onProgress } = input;
    const sumsOf = await sumOverInputs(input, (sums, inputs) => addSquares(sums, inputs, () => 1));
    const found = new Map<string, MatrixSensitivity[]>();
    for (const [module, sums] of sumsOf) {
      const weights = await source.readFloat32(`${module}.weight`, { signal });
      const columns = Float32Array.from(sums);
      let energy = 0;
      for (const [i, weight] of weights.entries()) energy += weight ** 2 * columns[i % columns.length]!;
      const rows = new Float32Array(weights.length / columns.length).fill(energy > 0 ? 1 / energy : 0);
      found.set(module, [{ rows, columns }]);
      onProgress?.({ done: found.size, total: sumsOf.size });
    }
    return found;
  },
};
