export { invertFactor } from './factor-block';
export { productScratchBytes, updateProduct } from './product';
