/** `count` of the items, chosen by a seeded shuffle, in their original order; all of them where there are fewer. */
export function sampleItems<Item>(items: readonly Item[], count: number, seed: number): Item[] {
  const order = [...items.keys()];
  let state = (seed ^ 0x9e3779b9) >>> 0;
  for (let last = order.length - 1; last > 0; last--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const other = Math.floor((state / 2 ** 32) * (last + 1));
    [order[last], order[other]] = [order[other]!, order[last]!];
  }
  return order
    .slice(0, count)
    .sort((a, b) => a - b)
    .map((index) => items[index]!);
}
