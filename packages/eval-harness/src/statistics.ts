/** A mean and the standard error of that mean. */
export interface Estimate {
  readonly value: number;
  readonly stderr: number;
}

/**
 * Mean of n values and its standard error sqrt(var / (n - 1)), var being the variance with divisor n: what
 * llama.cpp's perplexity tool prints behind ±, and the same number as lm-eval's sample_stddev / sqrt(n). One
 * value has no spread to tell the error from: NaN. Two passes, so that nearly equal values lose no digits.
 */
export function meanWithStandardError(values: Float64Array | readonly number[]): Estimate {
  const count = values.length;
  const mean = sumOf(values, (value) => value) / count;
  return {
    value: mean,
    stderr: Math.sqrt(sumOf(values, (value) => (value - mean) ** 2) / count / (count - 1)),
  };
}

/** Covariance of the means of two paired series: cov / (n - 1), cov with divisor n. */
export function covarianceOfMeans(first: Float64Array, second: Float64Array): number {
  const count = first.length;
  const firstMean = sumOf(first, (value) => value) / count;
  const secondMean = sumOf(second, (value) => value) / count;
  return sumOf(first, (value, i) => (value - firstMean) * (second[i]! - secondMean)) / count / (count - 1);
}

/** Standard error of a share `value` of n yes-or-no outcomes: sqrt(p (1 - p) / (n - 1)). */
export function shareWithStandardError(hits: number, count: number): Estimate {
  const value = hits / count;
  return { value, stderr: Math.sqrt((value * (1 - value)) / (count - 1)) };
}

/**
 * The value below which a fraction of the sorted values lies, linear between neighbours, as llama.cpp
 * computes it.
 */
export function percentile(sorted: Float64Array, fraction: number): number {
  const place = fraction * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  // Equal neighbours are returned as they are: infinity - infinity is not a number.
  if (sorted[below] === sorted[above]) return sorted[below]!;
  return (1 - (place - below)) * sorted[below]! + (place - below) * sorted[above]!;
}

/** Index of the largest value, the first of equals. */
export function indexOfMaximum(values: readonly number[]): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

function sumOf(
  values: Float64Array | readonly number[],
  term: (value: number, index: number) => number,
): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += term(values[i]!, i);
  return sum;
}
