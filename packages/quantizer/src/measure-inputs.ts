import { NonFiniteWeightError } from '@lbs/format';
import type { Kernels } from '@lbs/kernels';
import type { CalibrationSequence, CalibrationStage } from './calibration-model.js';
import { InputStatistics } from './input-statistics.js';
import type { TokenWeighting } from './token-weighting.js';

/**
 * The second moments of a stage's inputs over all sequences. Sums are float32 a sequence and float32 in all, of weights that add up to 1, so that
 * they do not overflow where the activations do not.
 */
export function measureInputs(
  kernels: Kernels,
  stage: CalibrationStage,
  sequences: readonly CalibrationSequence[],
  weighting: TokenWeighting,
): InputStatistics {
  const { columns } = stage;
  const weightsOf = sequences.map(({ input }) => weighting.weights(input.length / columns));
  const total = weightsOf.reduce((sum, weights) => sum + weights.reduce((a, b) => a + b, 0), 0);
  const hessian = new Float32Array(columns * columns);
  const mark = kernels.mark();
  for (const [i, { input }] of sequences.entries()) {
    const weights = weightsOf[i]!;
    const tokens = weights.length;
    const transposed = new Float32Array(tokens * columns);
    for (let t = 0; t < tokens; t++) {
      const factor = Math.sqrt(weights[t]! / total);
      for (let j = 0; j < columns; j++) transposed[j * tokens + t] = factor * input[t * columns + j]!;
    }
    const matrix = kernels.loadDense(transposed, columns, tokens);
    const x = kernels.allocate(transposed.byteLength);
    kernels.float32(x, transposed.length).set(transposed);
    const y = kernels.allocate(hessian.byteLength);
    kernels.multiply(matrix, x, y, columns);
    const product = kernels.float32(y, hessian.length);
    for (let k = 0; k < hessian.length; k++) hessian[k]! += product[k]!;
    kernels.release(mark);
  }
  const bad = hessian.findIndex((moment) => !Number.isFinite(moment));
  if (bad >= 0) {
    throw new NonFiniteWeightError(`input ${bad % columns} is not finite on the calibration text`, {
      tensor: stage.modules[0],
      mend: 'The model gives NaN or infinite activations: use another checkpoint.',
    });
  }
  return new InputStatistics(kernels, hessian, columns);
}
