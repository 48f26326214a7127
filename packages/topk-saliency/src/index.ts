export * from './saliency-scores.js';
export * from './top-k.js';
