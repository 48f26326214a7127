export { findTopKThreshold, type ScoreSource } from './find-top-k-threshold.js';
export type { Granularity } from './granularity.js';
export { timesRowSensitivity } from './row-sensitivity.js';
export {
  defineSaliencyScore,
  type SaliencyScore,
  type SaliencyScoreOptions,
  type ScoreParts,
} from './saliency-score.js';
export * from './saliency-scores.js';
export {
  type KnownStatistics,
  requireStatistics,
  type SaliencyInputs,
  type SaliencyStatistics,
  type StatisticName,
} from './saliency-statistics.js';
export { type SalientAmount, salientCount } from './salient-amount.js';
export {
  BoundaryHistogram,
  type ScoreBoundary,
  type ScoreCounts,
  ScoreHistogram,
} from './score-histogram.js';
export { type SalientSelection, selectSalient } from './select-salient.js';
export { selectTopK } from './top-k.js';
export { selectByThreshold, type ThresholdSelection, type TopKThreshold } from './top-k-threshold.js';
