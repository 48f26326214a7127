import { InvalidArgumentError } from '@lbs/format';

/** How many weights are salient: so many, a share of all, or as many as bits allow. */
export type SalientAmount =
  | { readonly count: number }
  | { readonly fraction: number }
  | {
      /** Bits to spend. */
      readonly bits: number;
      /**
       * Bits of one salient weight, or of a number of them, which must not descend. No salient weights cost nothing.
       */
      readonly cost: number | ((count: number) => number);
    };

/**
 * The number of salient weights among `total`: the count, the nearest whole number to the fraction, or the most whose
 * cost is within the bits. Throws InvalidArgumentError on a count or fraction beyond the total and on bits or costs
 * that are negative or not finite.
 */
export function salientCount(amount: SalientAmount, total: number): number {
  if ('count' in amount) {
    if (Number.isInteger(amount.count) && amount.count >= 0 && amount.count <= total) return amount.count;
    throw new InvalidArgumentError(
      `the count of salient weights is ${amount.count}, not a whole number from 0 to ${total}`,
    );
  }
  if ('fraction' in amount) {
    if (amount.fraction >= 0 && amount.fraction <= 1) return Math.round(amount.fraction * total);
    throw new InvalidArgumentError(`the fraction of salient weights is ${amount.fraction}, not from 0 to 1`);
  }
  return countWithin(amount.bits, amount.cost, total);
}

function countWithin(bits: number, cost: number | ((count: number) => number), total: number): number {
  assertBits('bits for salient weights', bits);
  const costOf = typeof cost === 'number' ? (count: number) => cost * count : cost;
  let most = 0;
  let tooMany = total + 1;
  while (tooMany - most > 1) {
    const count = Math.floor((most + tooMany) / 2);
    const spent = costOf(count);
    assertBits(`cost of ${count} salient weights`, spent);
    if (spent <= bits) most = count;
    else tooMany = count;
  }
  return most;
}

function assertBits(what: string, bits: number): void {
  if (bits >= 0 && bits < Number.POSITIVE_INFINITY) return;
  throw new InvalidArgumentError(`the ${what} is ${bits}, not a finite number of at least 0`);
}
