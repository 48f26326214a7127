/** What was normalized, and the gradient behind it. Arrays are [tokens, width]. */
export interface NormGradient {
  readonly input: Float32Array;
  /** [width] */
  readonly weight: Float32Array;
  /** With respect to the normalized values. */
  readonly gradient: Float32Array;
  readonly epsilon: number;
}

/**
 * Takes a gradient back through RMSNorm (arXiv 1910.07467, equation 4): with f = 1 / sqrt(mean(x^2) + epsilon), adds
 * f * weight * gradient - x * f^3 * mean(weight * gradient * x) to `residual` [tokens, width].
 */
export function addNormGradient(
  residual: Float32Array,
  { input, weight, gradient, epsilon }: NormGradient,
): void {
  const width = weight.length;
  for (let start = 0; start < input.length; start += width) {
    let [squares, projection] = [0, 0];
    for (let i = 0; i < width; i++) {
      const x = input[start + i]!;
      squares += x * x;
      projection += weight[i]! * gradient[start + i]! * x;
    }
    const factor = 1 / Math.sqrt(squares / width + epsilon);
    const along = (factor ** 3 * projection) / width;
    for (let i = 0; i < width; i++) {
      residual[start + i]! += factor * weight[i]! * gradient[start + i]! - along * input[start + i]!;
    }
  }
}
