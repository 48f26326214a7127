export { type CompareModelsOptions, compareModels, type ModelComparison } from './compare-models.js';
export { type EncodedPair, encodePair } from './encode-pair.js';
export { EvaluationError, type EvaluationErrorCode } from './errors.js';
export { type EvaluateTasksOptions, evaluateTasks, type TaskProgress } from './evaluate-tasks.js';
export type {
  CallOptions,
  EvaluatedModel,
  EvaluationOptions,
  EvaluationProgress,
  GenerateOptions,
} from './evaluated-model.js';
export { evaluateGeneration, type GenerationResult, type GenerationSample } from './generation.js';
export type { KlDivergence } from './kl-divergence.js';
export {
  type LlamaCppChunk,
  type LlamaCppChunkOptions,
  llamaCppChunks,
  scoredPositions,
} from './llama-cpp-chunks.js';
export type { LmEvalResults, TaskConfig, TaskMetrics } from './lm-eval-results.js';
export {
  evaluateMultipleChoice,
  type MultipleChoiceResult,
  type MultipleChoiceSample,
  type TaskOptions,
} from './multiple-choice.js';
export { evaluatePerplexity, type Perplexity, type PerplexityResult } from './perplexity.js';
export { piqaTask } from './piqa.js';
export type { EvaluatedText, PerplexityOptions } from './protocol.js';
export type { Estimate } from './statistics.js';
export {
  type GenerationItem,
  type GenerationTask,
  type MultipleChoiceDeclaration,
  type MultipleChoiceItem,
  type MultipleChoiceTask,
  parseMultipleChoiceTask,
  type Task,
} from './task.js';
