import type { TensorReader } from './copy-tensor.js';

/** Where the job reads a model from; what `@lbs/model-loaders` opens is one. */
export interface ModelWeights extends TensorReader {
  readonly name: string;
  readonly tensorNames: readonly string[];
}
