import { EvaluationError } from './errors.js';

/** Per-row figures of a matrix of logits that every metric starts from. */
export interface RowSummary {
  /** log(sum(exp(logits))) of each row: a log-probability is a logit less this. Float64. */
  readonly logSumExp: Float64Array;
  /** Index of each row's maximum, the first of equals. */
  readonly argmax: Int32Array;
}

/**
 * Summarizes `logits` [rows, vocabularySize]. Sums are float64 with the maximum subtracted; the result's
 * arrays are those of `reuse` where they are given. Throws EvaluationError LBS_EVAL_NOT_FINITE when a row has
 * a NaN or positive infinity, or nothing but negative infinities.
 */
export function summarizeRows(logits: Float32Array, vocabularySize: number, reuse?: RowSummary): RowSummary {
  const rows = logits.length / vocabularySize;
  const summary =
    reuse && reuse.argmax.length === rows
      ? reuse
      : { logSumExp: new Float64Array(rows), argmax: new Int32Array(rows) };
  for (let row = 0; row < rows; row++) {
    const start = row * vocabularySize;
    const end = start + vocabularySize;
    let best = start;
    for (let i = start + 1; i < end; i++) if (logits[i]! > logits[best]!) best = i;
    const maximum = logits[best]!;
    let sum = 0;
    for (let i = start; i < end; i++) sum += Math.exp(logits[i]! - maximum);
    const logSumExp = maximum + Math.log(sum);
    if (!Number.isFinite(logSumExp))
      throw new EvaluationError(
        'LBS_EVAL_NOT_FINITE',
        `The model's logits are not finite (row ${row} of ${rows}). Its weights are damaged, or a computation overflowed.`,
      );
    summary.logSumExp[row] = logSumExp;
    summary.argmax[row] = best - start;
  }
  return summary;
}
