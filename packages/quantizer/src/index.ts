export * from './nearest-levels.js';
export * from './presets.js';
export * from './quantize-model.js';
export * from './recipe.js';
export * from './round-to-nearest.js';
export * from './row-encoder.js';
export * from './scale-search.js';
export * from './solver.js';
