import { defineSaliencyScore, type SaliencyScore } from './saliency-score.js';

/**
 * |w|: the LBS paper (CRAD, doi 10.7544/issn1000-1239.202550648) and PB-LLM (arXiv 2310.00034). Needs no calibration.
 */
export const magnitude: SaliencyScore = defineSaliencyScore({
  name: 'magnitude',
  degree: 1,
  needs: [],
  parts: () => ({}),
});

/**
 * |w_ij| * ||x_j||_2: Wanda (arXiv 2306.11695, equation 1), whose authors compare the weights of a row with each other.
 * The norm is over tokens, divided here by the root of their number.
 */
export const wanda: SaliencyScore = defineSaliencyScore({
  name: 'wanda',
  degree: 1,
  needs: ['inputSquares'],
  parts: ({ inputSquares }) => ({ columnFactors: Float64Array.from(inputSquares, Math.sqrt) }),
});

/**
 * w_ij^2 / [H^-1]_jj: what the layer's squared error rises by when the weight becomes 0 and all others of the row make
 * up for it. Optimal Brain Surgeon (Hassibi and Stork 1993, equation 5, which has half of it) and SparseGPT (arXiv
 * 2301.00774).
 */
export const optimalBrainSurgeon: SaliencyScore = defineSaliencyScore({
  name: 'optimal-brain-surgeon',
  degree: 2,
  needs: ['inverseHessianDiagonal'],
  parts: ({ inverseHessianDiagonal }) => ({ columnFactors: reciprocals(inverseHessianDiagonal) }),
});

/**
 * (w_ij - q_ij)^2 / [H^-1]_jj, q the value of the dense code: the same for the error that quantization leaves, as SpQR
 * finds its outliers (arXiv 2306.03078).
 */
export const leftoverError: SaliencyScore = defineSaliencyScore({
  name: 'leftover-error',
  degree: 2,
  needs: ['approximation', 'inverseHessianDiagonal'],
  parts: ({ approximation, inverseHessianDiagonal }) => ({
    approximation,
    columnFactors: reciprocals(inverseHessianDiagonal),
  }),
});

/**
 * w_ij^2 * F_ij, F the diagonal Fisher matrix: the second-order rise of the loss, up to a factor of 2, when the weight
 * alone becomes 0.
 */
export const fisherMagnitude: SaliencyScore = defineSaliencyScore({
  name: 'fisher-magnitude',
  degree: 2,
  needs: ['fisher'],
  parts: ({ fisher }) => ({ weightFactors: fisher }),
});

/**
 * (w_ij - q_ij)^2 * F_ij, q the value of the dense code: the same for the error that quantization leaves. SqueezeLLM's
 * clusters minimize its sum (arXiv 2306.07629), and it is the regularizer of ULB-SAPR (arXiv 2504.13932).
 */
export const fisherError: SaliencyScore = defineSaliencyScore({
  name: 'fisher-error',
  degree: 2,
  needs: ['approximation', 'fisher'],
  parts: ({ approximation, fisher }) => ({ approximation, weightFactors: fisher }),
});

/** All scores, for a registry. */
export const saliencyScores: readonly SaliencyScore[] = [
  magnitude,
  wanda,
  optimalBrainSurgeon,
  leftoverError,
  fisherMagnitude,
  fisherError,
];

function reciprocals(values: Float32Array): Float64Array {
  return Float64Array.from(values, (value) => 1 / value);
}
