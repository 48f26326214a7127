import { clampToFloat32, type SaliencyScore } from './saliency-score.js';
import { requireStatistics } from './saliency-statistics.js';

/**
 * A score times the sensitivity of the loss to the output of the weight's row: the mean squared gradient for scores of
 * degree 2, its square root for those of degree 1. It makes rows, and matrices, comparable by what they do to the loss
 * rather than to their own output. Fisher scores hold those gradients already.
 */
export function timesRowSensitivity(score: SaliencyScore): SaliencyScore {
  const declaration = {
    name: `${score.name}-times-row-sensitivity`,
    degree: score.degree,
    needs: [...score.needs, 'rowSensitivity'] as const,
  };
  return {
    ...declaration,
    score(weights, inputs) {
      const { rowSensitivity } = requireStatistics(declaration, inputs);
      const scores = score.score(weights, inputs);
      const { columns } = inputs;
      rowSensitivity.forEach((sensitivity, row) => {
        const factor = score.degree === 1 ? Math.sqrt(sensitivity) : sensitivity;
        for (let i = row * columns; i < (row + 1) * columns; i++)
          scores[i] = clampToFloat32(scores[i]! * factor);
      });
      return scores;
    },
  };
}
