import { dequantize, type NumberFormat } from '@lbs/format';
import type { Kernels } from '@lbs/kernels';
import { selectTopK } from '@lbs/topk-saliency';
import { encodeMatrix } from '../solvers/encode-matrix.js';
import type { MatrixSensitivity } from './sensitivity.js';

/** A matrix whose loss in a format is wanted. */
export interface LossInput {
  /** [rows, columns], finite. */
  readonly weights: Float32Array;
  readonly rows: number;
  readonly columns: number;
  readonly sensitivities: readonly MatrixSensitivity[];
  /** Number of salient weights, whose errors do not count. */
  readonly salient: number;
  readonly kernels: Kernels;
}

/**
 * What storing a matrix in a format adds to the KL divergence per token, to second order: of rounding to nearest with the scales that are best for its
 * sensitivity. Solvers that feed errors back do better, by much the same factor in all formats.
 */
export function expectedLoss(format: NumberFormat, input: LossInput): number {
  const { weights, rows, columns, sensitivities, salient, kernels } = input;
  const importance = new Float32Array(columns);
  for (const use of sensitivities) {
    const mean = use.rows.reduce((sum, share) => sum + share, 0) / rows;
    for (let j = 0; j < columns; j++) importance[j]! += mean * use.columns[j]!;
  }
  // Importance has no unit: it need only stay within float32.
  const greatest = importance.reduce((most, value) => Math.max(most, value), 0);
  const scaled = importance.map((value) => (greatest > 0 ? Math.max(value / greatest, 1e-9) : 1));
  const rounded = dequantize(
    encodeMatrix({ weights, rows, columns, format, kernels }, { importance: scaled }),
  );
  const losses = rounded.map((value, i) => {
    const error = (value - weights[i]!) ** 2;
    const [row, column] = [Math.floor(i / columns), i % columns];
    return sensitivities.reduce((sum, use) => sum + (use.rows[row]! * use.columns[column]! * error) / 2, 0);
  });
  let total = losses.reduce((sum, loss) => sum + loss, 0);
  for (const i of selectTopK(losses, salient)) total -= losses[i]!;
  return total;
}
