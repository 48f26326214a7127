// What every token needs: products of one token, and all that is not a product.
export { activate, softcap } from '../activations';
export { attend, rotate } from '../attention';
export { multiplyDense } from '../dense';
export { add, argmax, clamp, layerNorm, rmsNorm, scale, swiGlu } from '../elementwise';
export { exponentials } from '../exponential';
export { quantizeActivations } from '../quantize-activations';
export { multiplyVector, prepareVector } from '../vector-product';
