import type { CalibrationModel, CalibrationSequence } from '../calibration/calibration-model.js';
import type { ModelWeights } from '../source/model-weights.js';

/**
 * How much the loss depends on errors of a matrix: errors e [rows, columns] raise it, to second order and as far as they are independent, by
 * 1/2 sum over i, j of rows_i * columns_j * e_ij^2.
 */
export interface MatrixSensitivity {
  /** [rows] */
  readonly rows: Float32Array;
  /** [columns] */
  readonly columns: Float32Array;
}

/** The sensitivities of a model's weights by module. A module that is used in two ways (a tied embedding) has two. */
export type ModelSensitivities = ReadonlyMap<string, readonly MatrixSensitivity[]>;

/** What sensitivities are measured on. */
export interface SensitivityInput {
  readonly source: ModelWeights;
  readonly model: CalibrationModel;
  readonly sequences: readonly (readonly number[])[];
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: { readonly done: number; readonly total: number }) => void) | undefined;
}

/** A way to tell how much the loss depends on each matrix. */
export interface Sensitivity {
  readonly name: string;
  measure(input: SensitivityInput): Promise<ModelSensitivities>;
}

/** Counts a sequence's inputs [tokens, columns] of a module: adds to sums [columns]. */
type InputCounter = (
  sums: Float64Array,
  input: Float32Array,
  place: { readonly module: string; readonly sequence: number },
) => void;

/** Runs the sequences through all blocks; returns sums [columns] over the inputs of each linear layer. */
export async function sumOverInputs(
  { model, sequences, signal }: SensitivityInput,
  count: InputCounter,
): Promise<Map<string, Float64Array>> {
  const places = (await model.embed(sequences, { signal })).map(
    (hidden): CalibrationSequence => ({ hidden, input: new Float32Array() }),
  );
  const sumsOf = new Map<string, Float64Array>();
  for (let index = 0; index < model.blocks; index++) {
    signal?.throwIfAborted();
    const block = await model.loadBlock(index, { signal });
    try {
      for (const place of places) block.begin(place);
      for (const [i, { modules, columns }] of block.stages.entries()) {
        for (const module of modules) {
          const sums = new Float64Array(columns);
          for (const [sequence, { input }] of places.entries()) count(sums, input, { module, sequence });
          sumsOf.set(module, sums);
        }
        for (const place of places) block.advance(i, place);
      }
    } finally {
      block.release();
    }
  }
  return sumsOf;
}

/** Adds the squares of inputs [tokens, columns] to sums [columns], each token's times its weight. */
export function addSquares(
  sums: Float64Array,
  input: Float32Array,
  weightOf: (token: number) => number,
): void {
  const columns = sums.length;
  for (let token = 0, i = 0; i < input.length; token++) {
    const weight = weightOf(token);
    for (let j = 0; j < columns; j++, i++) sums[j]! += weight * input[i]! ** 2;
  }
}
