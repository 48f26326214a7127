/** What was normalized, and the gradient behind it. Arrays are [rows, width]. */
export interface NormGradient {
  readonly input: Float32Array;
  /** [width] */
  readonly weight: Float32Array;
  /** With respect to the normalized values. */
  readonly gradient: Float32Array;
  readonly epsilon: number;
  /** Whether the mean is taken off first, as LayerNorm does. */
  readonly isCentred: boolean;
}

/**
 * Takes a gradient back through RMSNorm (arXiv 1910.07467, equation 4): with f = 1 / sqrt(mean(x^2) + epsilon), adds
 * f * weight * gradient - x * f^3 * mean(weight * gradient * x) to `residual` [rows, width]. Through LayerNorm (arXiv 1607.06450) it is
 * the same of x less its mean, and the mean of what is added is taken off.
 */
export function addNormGradient(
  residual: Float32Array,
  { input, weight, gradient, epsilon, isCentred }: NormGradient,
): void {
  const width = weight.length;
  for (let start = 0; start < input.length; start += width) {
    let [mean, meanGradient] = [0, 0];
    if (isCentred) {
      for (let i = 0; i < width; i++) {
        mean += input[start + i]! / width;
        meanGradient += (weight[i]! * gradient[start + i]!) / width;
      }
    }
    let [squares, projection] = [0, 0];
    for (let i = 0; i < width; i++) {
      const x = input[start + i]! - mean;
      squares += x * x;
      projection += weight[i]! * gradient[start + i]! * x;
    }
    const factor = 1 / Math.sqrt(squares / width + epsilon);
    const along = (factor ** 3 * projection) / width;
    for (let i = 0; i < width; i++) {
      const straight = factor * weight[i]! * gradient[start + i]! - factor * meanGradient;
      residual[start + i]! += straight - along * (input[start + i]! - mean);
    }
  }
}
