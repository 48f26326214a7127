/** A small seeded generator (mulberry32): the same seed gives the same run on every machine. */
export function createRandom(seed) {
  let state = seed >>> 0;
  const uint32 = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  /** A whole number below `limit`. */
  const below = (limit) => Math.floor((uint32() / 2 ** 32) * limit);
  return {
    uint32,
    below,
    pick: (list) => list[below(list.length)],
    /** True once in `times`. */
    oneIn: (times) => below(times) === 0,
  };
}
