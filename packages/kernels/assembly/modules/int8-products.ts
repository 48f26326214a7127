// Products with int8 activations by the instructions of relaxed SIMD. Without them nothing is gained by bytes, and the modules `decoding` and
// `prefill` multiply by the same codes as int16.
export { multiplyPanelsInt8, narrowActivations } from '../int8-panel';
export { multiplyVectorInt8, prepareVectorInt8 } from '../int8-vector-product';
