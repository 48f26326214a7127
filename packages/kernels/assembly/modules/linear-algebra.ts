export { invertFactor } from '../linear-algebra/factor-block';
export { productScratchBytes, updateProduct } from '../linear-algebra/product';
