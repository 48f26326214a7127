export type { Pointer } from './arena.js';
export type { GroupParameters, SalientSearch } from './code-parameters.js';
export type {
  AssignedResiduals,
  CodeAssignment,
  CodeRefinement,
  CodeRefinementOptions,
  RefinementSweep,
  ScaleCandidates,
} from './code-refinement.js';
export type {
  ChosenCodes,
  CodeSearch,
  CodeSearchOptions,
  ErrorFeedback,
} from './code-search.js';
export type { InverseProduct } from './inverse-product.js';
export {
  type AttentionShape,
  type AttentionSums,
  type CodeRows,
  createKernels,
  type Kernels,
  type KernelsOptions,
} from './kernels.js';
export type { GramUpdate, LinearAlgebra } from './linear-algebra.js';
export type { Matrix } from './matrix.js';
export type { MatrixPlace, MatrixProduct, ProductOperand } from './matrix-product.js';
export { MemoryLimitError } from './memory-limit-error.js';
export { NotPositiveDefiniteError } from './not-positive-definite-error.js';
export {
  addToDiagonal,
  diagonalOf,
  mirrorUpper,
  permuteSymmetric,
  scaleSymmetric,
} from './symmetric-matrix.js';
export { ThreadError } from './thread-error.js';
