export type { ActivationPrecision } from './activations.js';
export type { Pointer } from './arena.js';
export { CodePacking, type CodeRows } from './code-packing.js';
export type { GroupParameters, SalientSearch } from './code-parameters.js';
export {
  type AssignedResiduals,
  type CodeAssignment,
  CodeRefinement,
  type CodeRefinementOptions,
  type RefinementSweep,
  type ScaleCandidates,
} from './code-refinement.js';
export {
  type ChosenCodes,
  CodeSearch,
  type CodeSearchOptions,
  type ErrorFeedback,
} from './code-search.js';
export type { InverseProduct } from './inverse-product.js';
export {
  type Activation,
  type AttentionShape,
  type AttentionSums,
  type ColumnCopy,
  createKernels,
  type Kernels,
  type KernelsOptions,
} from './kernels.js';
export { type GramUpdate, LinearAlgebra } from './linear-algebra.js';
export type { Matrix } from './matrix.js';
export type { MatrixPlace, MatrixProduct, ProductOperand } from './matrix-product.js';
export { MemoryLimitError } from './memory-limit-error.js';
export { NotPositiveDefiniteError } from './not-positive-definite-error.js';
export type { LoadOptions } from './quantized-matrix.js';
export type { ServedModules, WasmFile } from './served-modules.js';
export type { SimdInstructions } from './simd.js';
export {
  addToDiagonal,
  diagonalOf,
  mirrorUpper,
  permuteSymmetric,
  scaleSymmetric,
} from './symmetric-matrix.js';
export { ThreadError } from './thread-error.js';
export type { TransposedProduct } from './transposed-product.js';
