/**
 * Bits of the k-th largest (k >= 1) of `values`, which must have no sign, and how many of those that equal it belong to
 * the top k. Partitions the values in place by one bit at a time, from the highest in which any differ, and goes on
 * with the side that holds the k-th: O(n) for every input, at most 31 passes and for most about four, without a branch
 * to mispredict. Unlike a histogram it costs nothing to begin, so that it serves groups of any size.
 */
export function kthLargest(values: Uint32Array, k: number): { least: number; ties: number } {
  let start = 0;
  let end = values.length;
  let differing = 0;
  for (let i = 1; i < end; i++) differing |= values[i]! ^ values[0]!;
  for (let bit = 31 - Math.clz32(differing); bit >= 0; bit--) {
    let split = start;
    for (let i = start; i < end; i++) {
      const value = values[i]!;
      values[i] = values[split]!;
      values[split] = value;
      split += (value >>> bit) & 1;
    }
    if (split >= k) end = split;
    else start = split;
  }
  return { least: values[start]!, ties: k - start };
}
