import { InvalidArgumentError } from '@lbs/format';

/** One way to store something: what it costs and what is lost by it. */
export interface StorageChoice {
  /** Bits of storage, at least 0. */
  readonly bits: number;
  /** Expected loss, in a unit that adds up over what is stored. */
  readonly loss: number;
}

/** A step from one choice on the lower convex hull to the next: that many more bits for that much less loss. */
interface HullStep {
  readonly item: number;
  readonly to: number;
  readonly bits: number;
  readonly gain: number;
}

/**
 * Chooses for each item one of its choices, so that the sum of bits is within the budget and the sum of losses small: steps along the lower convex
 * hulls in the order of loss saved per bit (the Lagrangian relaxation of the multiple-choice knapsack problem, Shoham and Gersho 1988), and what
 * bits are left then go to the single changes that save most. The sum of losses is above the least one by no more than the
 * greatest step saves. Deterministic; among equals the earlier item goes first. Returns an index into each item's choices.
 *
 * Throws InvalidArgumentError where an item has no choice or numbers are not finite, and where even the smallest choices exceed the
 * budget.
 */
export function allocateBits(items: readonly (readonly StorageChoice[])[], budget: number): number[] {
  const hulls = items.map(lowerHull);
  const chosen = hulls.map((hull) => hull[0]!);
  const least = chosen.reduce((sum, choice, item) => sum + items[item]![choice]!.bits, 0);
  if (!(least <= budget)) {
    throw new InvalidArgumentError(`the smallest choices take ${least} bits, and the budget is ${budget}`, {
      mend: 'Allow more bits, or offer smaller formats.',
    });
  }
  let left = budget - least;
  for (const { item, to, bits } of stepsByGain(items, hulls)) {
    // A step that does not fit ends the item's way up the hull; steps of others may still fit.
    const from = hulls[item]![hulls[item]!.indexOf(to) - 1]!;
    if (bits > left || chosen[item] !== from) continue;
    chosen[item] = to;
    left -= bits;
  }
  fill(items, chosen, left);
  return chosen;
}

/** Indices of the choices on the lower convex hull of (bits, loss), by ascending bits and descending loss. */
function lowerHull(choices: readonly StorageChoice[], item: number): number[] {
  if (choices.length === 0) throw new InvalidArgumentError(`item ${item} has no choice`);
  for (const { bits, loss } of choices) {
    if (bits >= 0 && Number.isFinite(bits) && Number.isFinite(loss)) continue;
    throw new InvalidArgumentError(`item ${item} has a choice of ${bits} bits and a loss of ${loss}`);
  }
  const order = choices
    .map((_, i) => i)
    .sort((a, b) => choices[a]!.bits - choices[b]!.bits || choices[a]!.loss - choices[b]!.loss || a - b);
  const hull: number[] = [];
  for (const next of order) {
    if (hull.length > 0 && choices[next]!.loss >= choices[hull[hull.length - 1]!]!.loss) continue;
    while (hull.length > 1 && !isConvex(choices, hull[hull.length - 2]!, hull[hull.length - 1]!, next))
      hull.pop();
    hull.push(next);
  }
  return hull;
}

/** Whether `b` lies below the line from `a` to `c`. */
function isConvex(choices: readonly StorageChoice[], a: number, b: number, c: number): boolean {
  const [p, q, r] = [choices[a]!, choices[b]!, choices[c]!];
  return (p.loss - q.loss) * (r.bits - p.bits) > (p.loss - r.loss) * (q.bits - p.bits);
}

function stepsByGain(
  items: readonly (readonly StorageChoice[])[],
  hulls: readonly (readonly number[])[],
): HullStep[] {
  const steps = hulls.flatMap((hull, item) =>
    hull.slice(1).map((to, i): HullStep => {
      const [from, next] = [items[item]![hull[i]!]!, items[item]![to]!];
      return { item, to, bits: next.bits - from.bits, gain: from.loss - next.loss };
    }),
  );
  // Array.prototype.sort is stable, and the steps of a hull have descending slopes, so that they stay in order.
  return steps.sort((a, b) => b.gain * a.bits - a.gain * b.bits);
}

/** Spends what is left: again and again on the change that saves most of those that fit. */
function fill(items: readonly (readonly StorageChoice[])[], chosen: number[], left: number): void {
  for (;;) {
    let best: { item: number; to: number; gain: number; bits: number } | undefined;
    for (const [item, choices] of items.entries()) {
      const present = choices[chosen[item]!]!;
      for (const [to, { bits, loss }] of choices.entries()) {
        const gain = present.loss - loss;
        if (bits - present.bits <= left && gain > (best?.gain ?? 0)) {
          best = { item, to, gain, bits: bits - present.bits };
        }
      }
    }
    if (!best) return;
    chosen[best.item] = best.to;
    left -= best.bits;
  }
}
