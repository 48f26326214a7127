import { InvalidArgumentError } from '@lbs/format';
import type { Arena } from './arena.js';
import type { Matrix, MatrixOperations } from './matrix.js';
import type { ModuleInstances } from './module-instances.js';
import type { ThreadPool } from './thread-pool.js';

/** What kernels are made of. */
export interface KernelParts {
  readonly arena: Arena;
  readonly instances: ModuleInstances;
  readonly pool: ThreadPool;
  /** Throws InvalidArgumentError where the matrix was not loaded into these kernels. */
  operationsOf(matrix: Matrix): MatrixOperations;
}

/**
 * What is beside the decoder takes kernels as an argument instead of being a method of theirs: so a bundle holds what it uses. This is
 * how it sees their parts, which are no part of the public interface.
 */
const partsOfKernels = new WeakMap<object, KernelParts>();

export function setParts(kernels: object, parts: KernelParts): void {
  partsOfKernels.set(kernels, parts);
}

/** Throws InvalidArgumentError for what this package did not make. */
export function partsOf(kernels: object): KernelParts {
  const parts = partsOfKernels.get(kernels);
  if (!parts) throw new InvalidArgumentError('the kernels were not made by this copy of @lbs/kernels');
  return parts;
}
