import { InvalidArgumentError } from '@lbs/format';

/**
 * Indices of the `k` largest scores, ascending. Exact and deterministic: among equal scores the lower index
 * wins. Throws InvalidArgumentError unless scores are finite and not negative. O(n): the order of non-negative float32 values is that of
 * their bits, so the k-th largest is found byte by byte with four histograms.
 */
export function selectTopK(scores: Float32Array, k: number): Uint32Array {
  if (!Number.isInteger(k) || k < 0 || k > scores.length) {
    throw new InvalidArgumentError(
      `k = ${k} is not a whole number from 0 to ${scores.length}, the number of scores`,
    );
  }
  checkScores(scores);
  if (k === 0) return new Uint32Array();
  const bits = new Uint32Array(scores.buffer, scores.byteOffset, scores.length);
  const { threshold, ties } = kthLargest(bits, k);
  const selected = new Uint32Array(k);
  let count = 0;
  let tiesLeft = ties;
  for (let i = 0; i < bits.length && count < k; i++) {
    if (bits[i]! > threshold || (bits[i] === threshold && tiesLeft-- > 0)) selected[count++] = i;
  }
  return selected;
}

/** Bits of the k-th largest score, and how many of the scores that equal it belong to the top k. */
function kthLargest(bits: Uint32Array, k: number): { threshold: number; ties: number } {
  let threshold = 0;
  let wanted = k;
  const histogram = new Uint32Array(256);
  for (let shift = 24; shift >= 0; shift -= 8) {
    histogram.fill(0);
    for (let i = 0; i < bits.length; i++) {
      const above = shift === 24 ? 0 : bits[i]! >>> (shift + 8);
      if (above === threshold) histogram[(bits[i]! >>> shift) & 0xff]!++;
    }
    let digit = 255;
    while (histogram[digit]! < wanted) wanted -= histogram[digit--]!;
    threshold = ((threshold << 8) | digit) >>> 0;
  }
  return { threshold, ties: wanted };
}

function checkScores(scores: Float32Array): void {
  const index = scores.findIndex((score) => !(score >= 0 && score < Number.POSITIVE_INFINITY));
  if (index < 0) return;
  throw new InvalidArgumentError(
    `score ${scores[index]} at index ${index} is not a finite number of at least 0`,
  );
}
