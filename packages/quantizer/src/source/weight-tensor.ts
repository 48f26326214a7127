import { NonFiniteWeightError, TensorMismatchError } from '@lbs/format';

/** A weight tensor as it is read. */
export interface WeightTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Row-major. */
  readonly values: Float32Array;
  /** Of the file that it comes from, for errors. */
  readonly file: string;
}

/**
 * The shape of a matrix. Throws TensorMismatchError where the tensor is none, NonFiniteWeightError for the first weight that is NaN or infinite.
 */
export function checkMatrix({ name, shape, values, file }: WeightTensor): { rows: number; columns: number } {
  const [rows, columns] = shape;
  if (shape.length !== 2 || !rows || !columns) {
    throw new TensorMismatchError(
      `only matrices can be quantized, and this tensor has shape [${shape.join(', ')}]`,
      { file, tensor: name, mend: 'Leave the module out of the targets of the recipe.' },
    );
  }
  const bad = values.findIndex((weight) => !Number.isFinite(weight));
  if (bad >= 0) {
    throw new NonFiniteWeightError(
      `weight [${Math.floor(bad / columns)}, ${bad % columns}] is ${values[bad]}`,
      {
        file,
        tensor: name,
        mend: 'The checkpoint is damaged or was saved after training diverged: use another one.',
      },
    );
  }
  return { rows, columns };
}
