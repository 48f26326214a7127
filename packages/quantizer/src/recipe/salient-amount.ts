import { expectedSalientBits } from '@lbs/format';
import { type SalientAmount, salientCount } from '@lbs/topk-saliency';
import type { SalientRule } from './resolved-rule.js';

/** What a rule grants a [rows, columns] matrix; bits pay for positions, residuals and the scales of the rows. */
export function salientAmount({ amount }: SalientRule, rows: number, columns: number): SalientAmount {
  if (!('bitsPerWeight' in amount)) return amount;
  const weights = rows * columns;
  return {
    bits: amount.bitsPerWeight * weights,
    cost: (count) => (count > 0 ? 8 * rows + count * expectedSalientBits(count / weights) : 0),
  };
}

/** How many weights of a [rows, columns] matrix are salient. */
export function expectedSalientCount(salient: SalientRule, rows: number, columns: number): number {
  const amount = salientAmount(salient, rows, columns);
  if (!('count' in amount)) return salientCount(amount, rows * columns);
  const { per } = salient;
  if (per === 'tensor') return amount.count;
  if (per === 'row') return rows * Math.min(amount.count, columns);
  const [parts, size] = 'groupSize' in per ? [rows, per.groupSize] : [1, per.columnBlock];
  const height = rows / parts;
  const whole = Math.floor(columns / size);
  const rest = columns % size;
  return parts * (whole * Math.min(amount.count, height * size) + Math.min(amount.count, height * rest));
}
