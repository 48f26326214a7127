/**
 * [columns] the columns by descending importance, so that errors are fed from those that matter most to those that matter least (GPTQ's
 * act-order). Blocks of `size` columns, which share bits, stay together and are ordered by the sum of their importances; one that is short comes
 * last.
 */
export function descendingOrder(importance: Float32Array, size: number): Uint32Array {
  const blocks = Array.from({ length: Math.ceil(importance.length / size) }, (_, block) => {
    const members = importance.subarray(block * size, (block + 1) * size);
    const sum = members.length === size ? members.reduce((a, b) => a + b, 0) : -1;
    return { start: block * size, length: members.length, sum };
  });
  blocks.sort((a, b) => b.sum - a.sum || a.start - b.start);
  return Uint32Array.from(blocks.flatMap(({ start, length }) => Array.from({ length }, (_, i) => start + i)));
}
