import { InvalidArgumentError } from '@lbs/format';
import type {
  CalibrationModel,
  CalibrationSequence,
  GradientMeasurement,
  OutputSensitivity,
} from '../calibration/calibration-model.js';
import type { ModelWeights } from '../recipe/quantization-plan.js';

/**
 * How much the loss depends on errors of a matrix: errors e [rows, columns] raise the KL divergence per token, to second order and as far as they are
 * independent, by 1/2 sum over i, j of rows_i * columns_j * e_ij^2.
 */
export interface MatrixSensitivity {
  /** [rows] mean squared gradients of the outputs; of an embedding how often each row is looked up. */
  readonly rows: Float32Array;
  /** [columns] mean squares of the inputs, where tokens count by their squared gradients; of an embedding the mean squared gradients of its features. */
  readonly columns: Float32Array;
}

/** The sensitivities of a model's weights by module. A module that is used in two ways (a tied embedding) has two. */
export type ModelSensitivities = ReadonlyMap<string, readonly MatrixSensitivity[]>;

/** Sequences on which gradients are measured: more change little, and each takes three to four forward passes. */
const measuredSequences = 8;

/** What sensitivities are measured on. */
export interface SensitivityOptions extends GradientMeasurement {
  readonly model: CalibrationModel;
  readonly sequences: readonly (readonly number[])[];
  /** Rows of the embedding matrix. */
  readonly vocabularySize: number;
  /** Whether the embedding is the output head too. */
  readonly isHeadTied: boolean;
}

/** What to measure on, of a model's source and its calibration. */
export function sensitivityOptions(
  source: ModelWeights,
  { model, sequences, signal }: Pick<SensitivityOptions, 'model' | 'sequences' | 'signal'>,
): SensitivityOptions {
  const embedding = 'model.embed_tokens.weight';
  return {
    ...{ model, signal },
    sequences: spread(sequences, measuredSequences),
    vocabularySize: source.tensorNames.includes(embedding) ? source.tensorInfo(embedding).shape[0]! : 0,
    isHeadTied: !source.tensorNames.includes('lm_head.weight'),
  };
}

/**
 * Measures how much the loss depends on each matrix of a model: squared gradients of the layers' outputs by token, times the squares of what the
 * layers read (the diagonals of the Kronecker factors of the Fisher information, as in GuidedQuant, arXiv 2505.07004, for all rows together).
 * Throws InvalidArgumentError where the model cannot measure gradients.
 */
export async function measureSensitivities(options: SensitivityOptions): Promise<ModelSensitivities> {
  const { model, sequences, isHeadTied } = options;
  if (!model.measureOutputGradients) {
    throw new InvalidArgumentError('bits are allocated by gradients, which this model cannot measure', {
      mend: 'Open it with openCalibrationModel of @lbs/runtime, or give each rule one format.',
    });
  }
  const gradients = await model.measureOutputGradients(sequences, options);
  const found = new Map<string, MatrixSensitivity[]>();
  for (const [module, columns] of await weightedInputSquares(gradients, options)) {
    found.set(module, [sensitivityOf(gradients.get(module)!.rowMeans, columns)]);
  }
  const head = gradients.get('lm_head');
  const embedding = gradients.get('model.embed_tokens');
  const asHead = head?.inputSquares && sensitivityOf(head.rowMeans, head.inputSquares);
  const asEmbedding = embedding && { rows: frequencies(options), columns: embedding.rowMeans };
  if (asHead && !isHeadTied) found.set('lm_head', [asHead]);
  found.set(
    'model.embed_tokens',
    [asEmbedding, isHeadTied ? asHead : undefined].filter((use) => use !== undefined),
  );
  return found;
}

/** [columns] for each linear layer of the blocks: the mean over tokens of the squares of its inputs, times the sum of the token's squared gradients. */
async function weightedInputSquares(
  gradients: ReadonlyMap<string, OutputSensitivity>,
  { model, sequences, signal }: SensitivityOptions,
): Promise<Map<string, Float32Array>> {
  const tokens = sequences.reduce((sum, { length }) => sum + length, 0);
  const places = sequences.map(
    (sequence): CalibrationSequence => ({ hidden: model.embed(sequence), input: new Float32Array() }),
  );
  const squares = new Map<string, Float32Array>();
  for (let index = 0; index < model.blocks; index++) {
    signal?.throwIfAborted();
    const block = await model.loadBlock(index, { signal });
    try {
      for (const place of places) block.begin(place);
      for (const [i, { modules, columns }] of block.stages.entries()) {
        for (const module of modules) {
          const { tokenSums } = gradients.get(module)!;
          const sums = new Float64Array(columns);
          for (const [sequence, { input }] of places.entries()) addSquares(sums, input, tokenSums[sequence]!);
          squares.set(
            module,
            Float32Array.from(sums, (sum) => sum / tokens),
          );
        }
        for (const place of places) block.advance(i, place);
      }
    } finally {
      block.release();
    }
  }
  return squares;
}

function addSquares(sums: Float64Array, input: Float32Array, weights: Float32Array): void {
  const columns = sums.length;
  for (const [token, weight] of weights.entries()) {
    for (let j = 0; j < columns; j++) sums[j]! += weight * input[token * columns + j]! ** 2;
  }
}

/** Of a linear layer, whose mean squares of the inputs were weighted with the sum over its outputs. */
function sensitivityOf(rows: Float32Array, weightedSquares: Float32Array): MatrixSensitivity {
  const total = rows.reduce((sum, square) => sum + square, 0);
  return { rows, columns: weightedSquares.map((square) => (total > 0 ? square / total : 0)) };
}

/** [vocabulary] how often each token occurs; one that does not counts as half an occurrence. */
function frequencies({ sequences, vocabularySize }: SensitivityOptions): Float32Array {
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
