import { TensorMismatchError, UnsupportedError } from '@lbs/format';
import type { TensorInfo } from '../model/tensor-store.js';
import { tensorShapes } from './architectures.js';
import type { ModelConfig } from './model-config.js';

/** What checkTensors needs to know of a model. */
export interface TensorCheck {
  readonly config: ModelConfig;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly file: string;
  /** Whether a matrix may be stored as `X.weight_packed` and its helpers; they are checked where they are read. */
  readonly quantized: boolean;
  /** The dtypes whose values can be read. */
  readonly readable: readonly string[];
}

/**
 * Checks names, shapes and dtypes against the config, without reading data. Throws TensorMismatchError for a missing tensor or
 * another shape, and UnsupportedError for dtypes that cannot be read, and for biases that the config does not ask for: to ignore
 * them would silently compute something else.
 */
export function checkTensors({ config, tensors, file, quantized, readable }: TensorCheck): void {
  const shapes = tensorShapes(config);
  for (const [tensor, expected] of shapes) {
    const found = tensors.get(tensor);
    if (!found) {
      if (quantized && tensors.has(`${tensor}_packed`)) continue;
      throw new TensorMismatchError(`the tensor is missing; its shape would be [${expected.join(', ')}]`, {
        file,
        tensor,
        mend: 'Check that the config and all weight files are of the same model.',
      });
    }
    if (found.shape.length !== expected.length || found.shape.some((size, i) => size !== expected[i])) {
      throw new TensorMismatchError(
        `expected the shape [${expected.join(', ')}], found [${found.shape.join(', ')}]`,
        {
          file,
          tensor,
          mend: 'Check that the config is of the same model.',
        },
      );
    }
    if (!readable.includes(found.dtype)) {
      throw new UnsupportedError(`weights of type ${found.dtype} cannot be read`, {
        file,
        tensor,
        mend: `Choose a file whose weights are ${readable.join(', ')}.`,
      });
    }
  }
  for (const tensor of tensors.keys()) {
    if (!tensor.endsWith('.bias') || shapes.has(tensor)) continue;
    if (!shapes.has(tensor.replace(/bias$/, 'weight'))) continue;
    throw new UnsupportedError(`models of the architecture ${config.architecture} have no such bias`, {
      file,
      tensor,
      mend: 'Check that the config is of the same model.',
    });
  }
}
