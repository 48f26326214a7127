export { attend, rotate } from './attention';
export { multiplyDense } from './dense';
export { add, argmax, rmsNorm, swiGlu } from './elementwise';
export { exponentials } from './exponential';
export { packRows, packSharedRows, unpackRows, unpackSharedRows } from './pack';
export { dequantizeRow, multiplyPanels } from './panel';
export { quantizeActivations } from './quantize-activations';
export { transposeTokens } from './salient';
export { multiplyVector, prepareVector } from './vector-product';
