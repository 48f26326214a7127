import { denseBytes, expectedSalientBits, safetensorsByteLength } from '@lbs/format';
import { copyTensor } from '../source/copy-tensor.js';
import type { ModelWeights } from '../source/model-weights.js';
import type { QuantizationPlan } from './quantization-plan.js';
import type { ResolvedRule } from './resolved-rule.js';
import { expectedSalientCount } from './salient-amount.js';

/** Bytes that `storeMatrix` gives for a [rows, columns] matrix. */
export function expectedBytes({ format, salient }: ResolvedRule, rows: number, columns: number): number {
  const shapeBytes = 8;
  const dense = denseBytes(format, rows, columns) + shapeBytes;
  const count = salient ? expectedSalientCount(salient, rows, columns) : 0;
  if (count === 0) return dense;
  const fraction = count / (rows * columns);
  const rowsWithSalient = rows * (1 - (1 - fraction) ** columns);
  const baseBytes = 2;
  return dense + Math.round((count * expectedSalientBits(fraction)) / 8 + rowsWithSalient) + baseBytes;
}

/** Bytes of the tensors that a recipe copies. */
export function expectedCopiedBytes(source: ModelWeights, plan: QuantizationPlan): number {
  return source.tensorNames
    .filter((name) => !plan.targets.has(name))
    .map((name) => copyTensor(source, name))
    .reduce((sum, { dtype, shape }) => sum + (safetensorsByteLength(dtype, shape) ?? 0), 0);
}
