import { InvalidArgumentError } from '@lbs/format';
import {
  addSquares,
  type MatrixSensitivity,
  type Sensitivity,
  type SensitivityInput,
  sumOverInputs,
} from './sensitivity.js';

/** Sequences on which gradients are measured: more change little, and each takes three to four forward passes. */
export const mostGradientSequences = 8;

/**
 * By the Fisher information of the model's own predictions: squared gradients of the layers' outputs by token, times the squares of what the layers
 * read (the diagonals of the Kronecker factors; GuidedQuant, arXiv 2505.07004, has them for groups of rows). The loss is the KL
 * divergence per token. Embedding and head are measured too. Throws InvalidArgumentError where the model cannot measure gradients.
 */
export const fisherSensitivity: Sensitivity = {
  name: 'fisher',
  async measure({ source, model, sequences: all, signal, onProgress }) {
    if (!model.measureOutputGradients) {
      throw new InvalidArgumentError('Fisher information takes gradients, which this model cannot measure', {
        mend: 'Open it with openCalibrationModel of @lbs/runtime, or allocate bits by "output-error".',
      });
    }
    const sequences = spread(all, mostGradientSequences);
    const gradients = await model.measureOutputGradients(sequences, { signal, onProgress });
    const squares = await sumOverInputs(
      { source, model, sequences, signal },
      (sums, input, { module, sequence }) => {
        const weights = gradients.get(module)!.tokenSums[sequence]!;
        addSquares(sums, input, (token) => weights[token]!);
      },
    );
    const tokens = sequences.reduce((sum, { length }) => sum + length, 0);
    const found = new Map<string, MatrixSensitivity[]>();
    for (const [module, sums] of squares) {
      found.set(module, [
        ofLinear(
          gradients.get(module)!.rowMeans,
          Float32Array.from(sums, (sum) => sum / tokens),
        ),
      ]);
    }
    const head = gradients.get('lm_head');
    const embeddingModule = [...gradients.keys()].find((name) => name !== 'lm_head' && !squares.has(name));
    const embedding = embeddingModule === undefined ? undefined : gradients.get(embeddingModule);
    const isHeadTied = !source.tensorNames.includes('lm_head.weight');
    const asHead = head?.inputSquares && ofLinear(head.rowMeans, head.inputSquares);
    const asEmbedding = embedding && {
      rows: frequencies(source.tensorInfo(`${embeddingModule}.weight`).shape[0]!, sequences),
      columns: embedding.rowMeans,
    };
    if (asHead && !isHeadTied) found.set('lm_head', [asHead]);
    const uses = [asEmbedding, isHeadTied ? asHead : undefined].filter((use) => use !== undefined);
    if (embeddingModule !== undefined) found.set(embeddingModule, uses);
    return found;
  },
};

/** Of a linear layer, whose mean squares of the inputs were weighted with the sum over its outputs. */
function ofLinear(rows: Float32Array, weightedSquares: Float32Array): MatrixSensitivity {
  const total = rows.reduce((sum, square) => sum + square, 0);
  return { rows, columns: weightedSquares.map((square) => (total > 0 ? square / total : 0)) };
}

/** [vocabulary] how often each token occurs; one that does not counts as half an occurrence. */
function frequencies(vocabularySize: number, sequences: SensitivityInput['sequences']): Float32Array {
  const counts = new Float32Array(vocabularySize).fill(0.5);
  for (const token of sequences.flat()) counts[token]! += 1;
  const total = counts.reduce((sum, count) => sum + count, 0);
  return counts.map((count) => count / total);
}

/** At most so many of the sequences, from all parts of the text. */
function spread<Item>(items: readonly Item[], most: number): Item[] {
  const count = Math.min(most, items.length);
  return Array.from({ length: count }, (_, i) => items[Math.floor((i * items.length) / count)]!);
}
