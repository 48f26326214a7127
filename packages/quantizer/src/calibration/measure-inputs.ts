import { NonFiniteWeightError } from '@lbs/format';
import { type Kernels, mirrorUpper, type Pointer } from '@lbs/kernels';
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
  const gram = kernels.allocate(hessian.byteLength);
  kernels.float32(gram, hessian.length).fill(0);
  for (const [i, { input }] of sequences.entries()) {
    const tokenWeights = weightsOf[i]!;
    const inputs = kernels.mark();
    const weights = copy(
      kernels,
      tokenWeights.map((weight) => weight / total),
    );
    kernels.linearAlgebra.accumulateGram({
      input: copy(kernels, input),
      tokens: tokenWeights.length,
      weights,
      gram,
      size: columns,
    });
    kernels.release(inputs);
  }
  hessian.set(kernels.float32(gram, hessian.length));
  kernels.release(mark);
  mirrorUpper(hessian, columns);
  const bad = hessian.findIndex((moment) => !Number.isFinite(moment));
  if (bad >= 0) {
    throw new NonFiniteWeightError(`input ${bad % columns} is not finite on the calibration text`, {
      tensor: stage.modules[0],
      mend: 'The model gives NaN or infinite activations: use another checkpoint.',
    });
  }
  return new InputStatistics(kernels, hessian, columns);
}

function copy(kernels: Kernels, values: Float32Array): Pointer {
  const pointer = kernels.allocate(values.byteLength);
  kernels.float32(pointer, values.length).set(values);
  return pointer;
}
