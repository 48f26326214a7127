// Products of many tokens, and rows as float32: what decodes weights before it multiplies.
export { multiplyExactly } from '../exact-product';
export { dequantizeRow, multiplyPanels } from '../panel';
export { writeRecords } from '../write-records';
export { transposeTokens } from '../salient';
