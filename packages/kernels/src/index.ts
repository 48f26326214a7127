export type { Pointer } from './arena.js';
export type {
  ChosenCodes,
  CodeSearch,
  CodeSearchOptions,
  ErrorFeedback,
  GroupParameters,
  SalientSearch,
} from './code-search.js';
export {
  type AttentionShape,
  type CodeRows,
  createKernels,
  type Kernels,
  type KernelsOptions,
} from './kernels.js';
export type { Matrix } from './matrix.js';
export { MemoryLimitError } from './memory-limit-error.js';
export { ThreadError } from './thread-error.js';
