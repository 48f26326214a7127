/** A priority queue of merges: the best rank first, of equal ranks the leftmost. Positions are below 2^31. */
export class MergeQueue {
  /** A binary heap of rank * 2^31 + position. */
  private keys = new Float64Array(64);
  private count = 0;

  push(rank: number, position: number): void {
    if (this.count === this.keys.length) {
      const larger = new Float64Array(2 * this.count);
      larger.set(this.keys);
      this.keys = larger;
    }
    const { keys } = this;
    const key = rank * 2 ** 31 + position;
    let at = this.count++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (keys[parent]! <= key) break;
      keys[at] = keys[parent]!;
      at = parent;
    }
    keys[at] = key;
  }

  /** Takes the first out; undefined where the queue is empty. */
  pop(): { readonly rank: number; readonly position: number } | undefined {
    if (this.count === 0) return undefined;
    const { keys } = this;
    const first = keys[0]!;
    const last = keys[--this.count]!;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.count) break;
      if (child + 1 < this.count && keys[child + 1]! < keys[child]!) child++;
      if (keys[child]! >= last) break;
      keys[at] = keys[child]!;
      at = child;
    }
    keys[at] = last;
    const rank = Math.floor(first / 2 ** 31);
    return { rank, position: first - rank * 2 ** 31 };
  }
}
