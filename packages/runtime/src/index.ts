export type { BlockSequence, LinearLayers, LoadedBlock } from './calibration/calibration-block.js';
export * from './calibration/calibration-model.js';
export * from './decoder/decoder.js';
export type { LoadOptions, LoadProgress } from './decoder/decoder-weights.js';
export type {
  GeneratedPiece,
  GenerationOptions,
  GenerationResult,
  GenerationUsage,
} from './generation/generation.js';
export * from './generation/language-model.js';
export type { TokenLogProbability } from './generation/log-probabilities.js';
export { createSampler, type Sampler, type SamplingOptions } from './generation/sampling.js';
export {
  type DistributionOptions,
  type TokenDistribution,
  tokenDistribution,
} from './generation/token-distribution.js';
export type { GradientOptions, GradientProgress, OutputGradients } from './gradients/output-gradients.js';
