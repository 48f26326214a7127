import { NonFiniteWeightError } from '@lbs/format';
import { type Kernels, LinearAlgebra, mirrorUpper, type Pointer } from '@lbs/kernels';
import type { CalibrationSequence, CalibrationStage } from './calibration-model.js';
import { InputStatistics } from './input-statistics.js';

/** Sequences on their way through a block. */
export interface CalibrationStreams {
  /** On the activations that the quantized layers give. */
  readonly quantized: readonly CalibrationSequence[];
  /** The same sequences on the activations of the unquantized model; left out where errors of layers before are not made up for. */
  readonly original?: readonly CalibrationSequence[] | undefined;
}

/**
 * The second moments of a stage's inputs over all sequences, of which each token counts by its weight [tokens], and how these inputs differ from the
 * unquantized model's. Sums are float32, of weights that add up to 1, so that they do not overflow where the activations do not.
 */
export function measureInputs(
  kernels: Kernels,
  stage: CalibrationStage,
  { quantized, original }: CalibrationStreams,
  weightsOf: readonly Float32Array[],
): InputStatistics {
  const { columns } = stage;
  const total = weightsOf.reduce((sum, weights) => sum + weights.reduce((a, b) => a + b, 0), 0);
  const mark = kernels.mark();
  const [gram, drift] = [zeros(kernels, columns * columns), original && zeros(kernels, columns * columns)];
  for (const [i, { input }] of quantized.entries()) {
    const tokens = weightsOf[i]!.length;
    const inputs = kernels.mark();
    const weights = copy(
      kernels,
      weightsOf[i]!.map((weight) => weight / total),
    );
    const read = copy(kernels, input);
    new LinearAlgebra(kernels).accumulateGram({ input: read, tokens, weights, gram, size: columns });
    if (drift !== undefined) {
      new LinearAlgebra(kernels).multiply({
        ...{ rows: columns, columns, depth: tokens, weights, update: 'add' },
        left: { pointer: difference(kernels, original![i]!.input, input), stride: columns, transposed: true },
        right: { pointer: read, stride: columns },
        output: { pointer: drift, stride: columns },
      });
    }
    kernels.release(inputs);
  }
  const read = (pointer: Pointer) => kernels.float32(pointer, columns * columns).slice();
  const moments = { hessian: read(gram), drift: drift === undefined ? undefined : read(drift) };
  kernels.release(mark);
  mirrorUpper(moments.hessian, columns);
  const bad = firstNotFinite(moments.hessian);
  if (bad >= 0) {
    throw new NonFiniteWeightError(`input ${bad % columns} is not finite on the calibration text`, {
      tensor: stage.modules[0],
      mend: 'The model gives NaN or infinite activations: use another checkpoint.',
    });
  }
  return new InputStatistics(kernels, moments, columns);
}

function zeros(kernels: Kernels, length: number): Pointer {
  const pointer = kernels.allocate(4 * length);
  kernels.float32(pointer, length).fill(0);
  return pointer;
}

function copy(kernels: Kernels, values: Float32Array): Pointer {
  const pointer = kernels.allocate(values.byteLength);
  kernels.float32(pointer, values.length).set(values);
  return pointer;
}

function difference(kernels: Kernels, from: Float32Array, values: Float32Array): Pointer {
  const pointer = kernels.allocate(values.byteLength);
  const target = kernels.float32(pointer, values.length);
  for (let i = 0; i < target.length; i++) target[i] = from[i]! - values[i]!;
  return pointer;
}

/** A loop, since callbacks take ten times as long; -1 where all are finite. */
function firstNotFinite(values: Float32Array): number {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i]!)) return i;
  return -1;
}
