import type { NumberFormat } from '@lbs/format';
import type { Kernels } from '@lbs/kernels';
import { selectTopK } from '@lbs/topk-saliency';
import type { MatrixSensitivity } from '../sensitivity/sensitivity.js';
import { encodeMatrix } from '../solvers/encode-matrix.js';
import { restoreMatrix } from '../solvers/restore-matrix.js';

/** Rows that are tried at most: half of them those that matter most, the others spread over the rest, for which they stand. */
const mostRows = 256;

/** A matrix whose loss in a format is wanted. */
export interface LossInput {
  /** [rows, columns], finite. */
  readonly weights: Float32Array;
  readonly rows: number;
  readonly columns: number;
  readonly sensitivities: readonly MatrixSensitivity[];
  /** Share of the weights that are salient, whose errors do not count. */
  readonly salientShare: number;
  readonly kernels: Kernels;
}

/**
 * What storing a matrix in a format adds to the KL divergence per token, to second order: of rounding to nearest with the scales that are best for its
 * sensitivity, on a sample of the rows. Solvers that feed errors back do better, by much the same factor in all formats.
 */
export function expectedLoss(format: NumberFormat, input: LossInput): number {
  const { columns, sensitivities, salientShare, kernels } = input;
  const sample = sampleRows(input);
  const rows = sample.length;
  const weights = new Float32Array(rows * columns);
  for (const [i, { row }] of sample.entries()) {
    weights.set(input.weights.subarray(row * columns, (row + 1) * columns), i * columns);
  }
  const importance = columnImportance(input);
  const rounded = restoreMatrix(
    kernels,
    encodeMatrix({ weights, rows, columns, format, kernels }, { importance }),
  );
  const losses = new Float32Array(weights.length);
  for (const [i, { row, factor }] of sample.entries()) {
    for (const use of sensitivities) {
      const share = (factor * use.rows[row]!) / 2;
      for (let j = 0, k = i * columns; j < columns; j++, k++) {
        losses[k]! += share * use.columns[j]! * (rounded[k]! - weights[k]!) ** 2;
      }
    }
  }
  let total = losses.reduce((sum, loss) => sum + loss, 0);
  for (const i of selectTopK(losses, Math.round(salientShare * losses.length))) total -= losses[i]!;
  return total;
}

/** [columns] how much errors of a column count, up to a factor that keeps them within float32. */
function columnImportance({ rows, columns, sensitivities }: LossInput): Float32Array {
  const importance = new Float64Array(columns);
  for (const use of sensitivities) {
    const mean = use.rows.reduce((sum, share) => sum + share, 0) / rows;
    for (let j = 0; j < columns; j++) importance[j]! += mean * use.columns[j]!;
  }
  const greatest = importance.reduce((most, value) => Math.max(most, value), 0);
  return Float32Array.from(importance, (value) => (greatest > 0 ? Math.max(value / greatest, 1e-9) : 1));
}

/** Rows to try, and for how many rows each stands. */
function sampleRows({ rows, sensitivities }: LossInput): { readonly row: number; readonly factor: number }[] {
  const all = Array.from({ length: rows }, (_, row) => row);
  if (rows <= mostRows) return all.map((row) => ({ row, factor: 1 }));
  const matter = Float64Array.from(all, (row) => sensitivities.reduce((sum, use) => sum + use.rows[row]!, 0));
  const byMatter = all.toSorted((a, b) => matter[b]! - matter[a]! || a - b);
  const first = byMatter.slice(0, mostRows / 2);
  const rest = byMatter.slice(mostRows / 2);
  const count = mostRows - first.length;
  const spread = Array.from(
    { length: count },
    (_, i) => rest[Math.floor(((i + 0.5) * rest.length) / count)]!,
  );
  // Each stands for its stretch of the rest, by how much that matters.
  const ofRest = rest.reduce((sum, row) => sum + matter[row]!, 0);
  const ofSpread = spread.reduce((sum, row) => sum + matter[row]!, 0);
  const factor = ofSpread > 0 ? ofRest / ofSpread : rest.length / count;
  return [...first.map((row) => ({ row, factor: 1 })), ...spread.map((row) => ({ row, factor }))];
}
