export type { BlockSequence, LinearLayers, LoadedBlock } from './calibration/calibration-block.js';
export * from './calibration/calibration-model.js';
export * from './decoder/decoder.js';
export type { LoadOptions, LoadProgress } from './decoder/decoder-weights.js';
export * from './generation/language-model.js';
export { createSampler, type Sampler, type SamplingOptions } from './generation/sampling.js';
export type { GradientOptions, GradientProgress, OutputGradients } from './gradients/output-gradients.js';
