export type { BlockSequence, LinearLayers, LoadedBlock } from './calibration-block.js';
export * from './calibration-model.js';
export * from './decoder.js';
export type { LoadOptions, LoadProgress } from './decoder-weights.js';
export * from './language-model.js';
export type { GradientOptions, GradientProgress, OutputGradients } from './output-gradients.js';
export { createSampler, type Sampler, type SamplingOptions } from './sampling.js';
